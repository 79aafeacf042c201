-- What items are called and worth: whole snapshots that never change, and which of them is in force. Times are milliseconds since 1970.

CREATE TABLE catalog_snapshots (
  id TEXT PRIMARY KEY,
  source TEXT NOT NULL,
  source_etag TEXT,
  content_hash TEXT NOT NULL,
  item_count BIGINT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('ready', 'failed')),
  note TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX catalog_snapshots_created ON catalog_snapshots (created_at);

CREATE TABLE catalog_items (
  snapshot_id TEXT NOT NULL REFERENCES catalog_snapshots (id),
  item_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  name_norm TEXT NOT NULL,
  examine TEXT NOT NULL,
  members INTEGER NOT NULL CHECK (members IN (0, 1)),
  value BIGINT NOT NULL,
  low_alch BIGINT, -- null: not known, as all of these
  high_alch BIGINT,
  buy_limit BIGINT,
  icon_key TEXT NOT NULL,
  tradeable INTEGER NOT NULL CHECK (tradeable IN (0, 1)),
  PRIMARY KEY (snapshot_id, item_id)
);
CREATE INDEX catalog_items_name ON catalog_items (snapshot_id, name_norm);

CREATE TABLE catalog_active (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  snapshot_id TEXT NOT NULL REFERENCES catalog_snapshots (id),
  previous_snapshot_id TEXT REFERENCES catalog_snapshots (id),
  version BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  reason TEXT NOT NULL
);

CREATE TABLE catalog_prices (
  item_id BIGINT PRIMARY KEY,
  high BIGINT,
  high_at BIGINT,
  low BIGINT,
  low_at BIGINT,
  fetched_at BIGINT NOT NULL
);
