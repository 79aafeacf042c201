-- Groups, who is in them, and the tokens of their plugins. Times are milliseconds since 1970; "norm" is the form in which names are compared.
-- The row of a group is also its lock: whoever changes anything of a group updates it first.

CREATE TABLE groups (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  name_norm TEXT NOT NULL,
  owner_user_id TEXT NOT NULL REFERENCES users (id),
  join_code TEXT UNIQUE, -- null: nobody can join
  member_count BIGINT NOT NULL CHECK (member_count >= 0), -- players; the cap is in the guarded update
  max_members BIGINT NOT NULL,
  version BIGINT NOT NULL, -- one more with each change of holdings, roster or settings
  plan TEXT NOT NULL,
  compat_token_hash TEXT,
  compat_name_norm TEXT,
  settings TEXT NOT NULL, -- JSON
  is_demo INTEGER NOT NULL CHECK (is_demo IN (0, 1)),
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT
);
CREATE INDEX groups_owner ON groups (owner_user_id);
CREATE UNIQUE INDEX groups_compat ON groups (compat_name_norm, compat_token_hash) WHERE compat_token_hash IS NOT NULL;

CREATE TABLE members (
  id TEXT PRIMARY KEY,
  group_id TEXT NOT NULL REFERENCES groups (id),
  user_id TEXT REFERENCES users (id), -- null: the shared storage
  kind TEXT NOT NULL CHECK (kind IN ('player', 'shared')),
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  display_name TEXT NOT NULL,
  character_name TEXT,
  character_norm TEXT,
  account_hash TEXT, -- a signed 64-bit number, as text: JSON numbers would lose digits
  color INTEGER NOT NULL, -- 0 to 4
  sync_epoch BIGINT NOT NULL,
  joined_at BIGINT NOT NULL,
  left_at BIGINT,
  last_sync_at BIGINT,
  last_world INTEGER,
  last_activity TEXT, -- what the plugin says the player does
  last_seen_at BIGINT,
  clock_offset_ms BIGINT -- how far the plugin's clock was ahead when its session began; null: there was none
);
CREATE UNIQUE INDEX members_user_in_group ON members (group_id, user_id) WHERE left_at IS NULL AND user_id IS NOT NULL;
CREATE UNIQUE INDEX members_character ON members (group_id, character_norm) WHERE left_at IS NULL AND character_norm IS NOT NULL;
CREATE UNIQUE INDEX members_account ON members (group_id, account_hash) WHERE left_at IS NULL AND account_hash IS NOT NULL;
CREATE UNIQUE INDEX members_shared ON members (group_id) WHERE kind = 'shared';
CREATE INDEX members_user ON members (user_id);
CREATE INDEX members_group ON members (group_id) WHERE left_at IS NULL;

CREATE TABLE plugin_tokens (
  id TEXT PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE, -- SHA-256; the token is random, so a slow hash would add nothing
  prefix TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id),
  group_id TEXT NOT NULL REFERENCES groups (id),
  member_id TEXT NOT NULL REFERENCES members (id),
  label TEXT NOT NULL,
  plugin_version TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT,
  expires_at BIGINT,
  revoked_at BIGINT
);
CREATE INDEX plugin_tokens_group ON plugin_tokens (group_id, revoked_at);
CREATE INDEX plugin_tokens_user ON plugin_tokens (user_id);
CREATE INDEX plugin_tokens_member ON plugin_tokens (member_id);
