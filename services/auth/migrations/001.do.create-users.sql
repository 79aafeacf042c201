-- Who can sign in, by which provider, and where they are signed in. Times are milliseconds since 1970; a session is kept as the SHA-256 of its id.

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  display_name TEXT NOT NULL,
  avatar_url TEXT,
  theme TEXT NOT NULL CHECK (theme IN ('light', 'dark', 'system')),
  is_operator INTEGER NOT NULL CHECK (is_operator IN (0, 1)),
  created_at BIGINT NOT NULL,
  deleted_at BIGINT
);

CREATE TABLE identities (
  provider TEXT NOT NULL,
  subject TEXT NOT NULL, -- what the provider calls the user
  user_id TEXT NOT NULL REFERENCES users (id),
  email TEXT,
  email_verified INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
  created_at BIGINT NOT NULL,
  last_login_at BIGINT NOT NULL,
  PRIMARY KEY (provider, subject)
);
CREATE INDEX identities_user ON identities (user_id);

CREATE TABLE sessions (
  id_hash TEXT PRIMARY KEY,
  public_id TEXT NOT NULL UNIQUE, -- names it in lists
  user_id TEXT NOT NULL REFERENCES users (id),
  created_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  user_agent TEXT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);
