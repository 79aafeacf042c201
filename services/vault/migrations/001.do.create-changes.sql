-- What changed with which version of a group: the last 1000 versions, for those who were away for a while.

CREATE TABLE group_changes (
  group_id TEXT NOT NULL REFERENCES groups (id),
  version BIGINT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('container', 'roster', 'settings')),
  member_id TEXT NOT NULL, -- '' for none
  container TEXT NOT NULL, -- '' for none
  at BIGINT NOT NULL, -- milliseconds since 1970
  PRIMARY KEY (group_id, version, kind, member_id, container)
);
