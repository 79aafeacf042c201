-- What plugins report: containers with their items, and the marks that keep them from going backwards. Times are milliseconds since 1970.

CREATE TABLE pairings (
  id TEXT PRIMARY KEY,
  device_code_hash TEXT NOT NULL UNIQUE,
  user_code TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'used', 'denied', 'expired')),
  user_id TEXT REFERENCES users (id),
  member_id TEXT REFERENCES members (id),
  label TEXT NOT NULL,
  plugin_name TEXT NOT NULL,
  plugin_version TEXT NOT NULL,
  interval_s BIGINT NOT NULL,
  next_poll_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX pairings_user_code ON pairings (user_code) WHERE status = 'pending';
CREATE INDEX pairings_expires ON pairings (expires_at);
CREATE INDEX pairings_member ON pairings (member_id);

CREATE TABLE sync_marks (
  owner_member_id TEXT NOT NULL REFERENCES members (id),
  container TEXT NOT NULL,
  writer_member_id TEXT NOT NULL REFERENCES members (id),
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  body_hash TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (owner_member_id, container, writer_member_id)
);

CREATE TABLE containers (
  member_id TEXT NOT NULL REFERENCES members (id),
  container TEXT NOT NULL,
  group_id TEXT NOT NULL REFERENCES groups (id),
  content_hash TEXT NOT NULL,
  item_count BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  writer_member_id TEXT NOT NULL REFERENCES members (id),
  captured_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  version BIGINT NOT NULL, -- of the group, when its content changed last
  approximate INTEGER NOT NULL CHECK (approximate IN (0, 1)),
  PRIMARY KEY (member_id, container)
);
CREATE INDEX containers_group ON containers (group_id, version);

CREATE TABLE container_items (
  member_id TEXT NOT NULL,
  container TEXT NOT NULL,
  slot BIGINT NOT NULL, -- positional: its place; unordered: its item
  group_id TEXT NOT NULL REFERENCES groups (id),
  item_id BIGINT NOT NULL,
  quantity BIGINT NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (member_id, container, slot),
  FOREIGN KEY (member_id, container) REFERENCES containers (member_id, container)
);
CREATE INDEX container_items_group ON container_items (group_id, item_id);

CREATE TABLE idempotency_keys (
  scope TEXT NOT NULL, -- the user or token, and the route
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('started', 'done')),
  status BIGINT,
  response TEXT, -- JSON
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);
