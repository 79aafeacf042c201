-- What happened in groups, and what has to be told of it to others: one row of the outbox for an event and a webhook. Times are milliseconds since 1970.
-- Addresses and secrets of webhooks are sealed with the key of the app.

CREATE TABLE activity_events (
  id TEXT PRIMARY KEY,
  group_id TEXT NOT NULL REFERENCES groups (id),
  group_seq BIGINT NOT NULL,
  type TEXT NOT NULL,
  member_id TEXT REFERENCES members (id),
  data TEXT NOT NULL, -- JSON
  source TEXT NOT NULL CHECK (source IN ('app', 'plugin')),
  source_event_id TEXT,
  occurred_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX activity_events_seq ON activity_events (group_id, group_seq);
CREATE UNIQUE INDEX activity_events_source ON activity_events (member_id, source_event_id) WHERE source_event_id IS NOT NULL;
CREATE INDEX activity_events_type ON activity_events (group_id, type, group_seq);
CREATE INDEX activity_events_created ON activity_events (group_id, created_at); -- for the end of their days

CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  group_id TEXT NOT NULL REFERENCES groups (id),
  kind TEXT NOT NULL CHECK (kind IN ('discord', 'generic')),
  label TEXT NOT NULL,
  url_enc TEXT NOT NULL,
  url_hint TEXT NOT NULL, -- host and the last four characters
  secret_enc TEXT, -- generic ones sign
  prev_secret_enc TEXT, -- while receivers change over,
  prev_secret_until BIGINT, -- which ends then
  events TEXT NOT NULL, -- JSON
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  disabled_reason TEXT,
  failures BIGINT NOT NULL, -- deliveries that died in a row
  paused_until BIGINT NOT NULL, -- as the receiver asked for
  created_by TEXT NOT NULL REFERENCES users (id),
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX webhooks_group ON webhooks (group_id);

CREATE TABLE outbox (
  id TEXT PRIMARY KEY,
  group_id TEXT NOT NULL REFERENCES groups (id),
  webhook_id TEXT NOT NULL, -- may be deleted before its deliveries
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  group_seq BIGINT NOT NULL, -- of the event: the order of first attempts
  payload TEXT NOT NULL, -- JSON, as of the event
  status TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'delivered', 'dead', 'cancelled')),
  attempts BIGINT NOT NULL,
  throttles BIGINT NOT NULL, -- answers "too many": not counted as attempts
  next_attempt_at BIGINT NOT NULL, -- of one that is over: when it ended
  lease_owner TEXT,
  lease_until BIGINT,
  last_status BIGINT,
  last_error TEXT,
  created_at BIGINT NOT NULL,
  delivered_at BIGINT
);
CREATE UNIQUE INDEX outbox_event ON outbox (webhook_id, event_id);
CREATE INDEX outbox_due ON outbox (status, next_attempt_at);
CREATE INDEX outbox_sending ON outbox (webhook_id) WHERE status = 'sending'; -- few, at any time
CREATE INDEX outbox_webhook ON outbox (webhook_id, created_at);
CREATE INDEX outbox_group ON outbox (group_id, status);

CREATE TABLE outbox_attempts (
  outbox_id TEXT NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  n BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  duration_ms BIGINT NOT NULL,
  http_status BIGINT,
  error TEXT,
  retry_after_ms BIGINT,
  PRIMARY KEY (outbox_id, n)
);
