-- What operators switch, and who has changed what. Times are milliseconds since 1970.

CREATE TABLE feature_flags (
  key TEXT PRIMARY KEY,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  min_plan TEXT, -- null: for all plans
  description TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL
);

CREATE TABLE group_features (
  group_id TEXT NOT NULL REFERENCES groups (id),
  key TEXT NOT NULL,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  PRIMARY KEY (group_id, key)
);

CREATE TABLE audit_log (
  id TEXT PRIMARY KEY,
  actor_user_id TEXT,
  group_id TEXT,
  action TEXT NOT NULL,
  detail TEXT NOT NULL, -- JSON
  at BIGINT NOT NULL
);
CREATE INDEX audit_log_group ON audit_log (group_id, at);

CREATE TABLE app_meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
