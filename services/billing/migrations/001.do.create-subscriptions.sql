-- What groups pay for. Times are milliseconds since 1970; "last_event_at" is the provider's clock, so that an older event never overwrites a newer state.

CREATE TABLE subscriptions (
  id TEXT PRIMARY KEY,
  group_id TEXT NOT NULL UNIQUE REFERENCES groups (id),
  provider TEXT NOT NULL,
  customer_id TEXT,
  subscription_id TEXT UNIQUE,
  plan TEXT NOT NULL,
  status TEXT NOT NULL,
  period_end BIGINT,
  cancel_at_period_end INTEGER NOT NULL CHECK (cancel_at_period_end IN (0, 1)),
  grace_until BIGINT,
  last_event_at BIGINT NOT NULL,
  last_event_id TEXT NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE TABLE billing_events (
  event_id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  processed_at BIGINT,
  error TEXT,
  payload TEXT NOT NULL
);
CREATE INDEX billing_events_processed ON billing_events (processed_at);
