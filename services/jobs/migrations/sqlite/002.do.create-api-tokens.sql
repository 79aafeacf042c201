-- Who may ask over HTTP. A token is kept as its SHA-256, so that nobody who reads this table can use one.

CREATE TABLE api_token (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL, -- what it is for
  username TEXT NOT NULL,
  roles TEXT NOT NULL, -- JSON
  projects TEXT NOT NULL DEFAULT '[]', -- JSON
  sha256 TEXT NOT NULL UNIQUE, -- hexadecimal
  created INTEGER NOT NULL, -- unix seconds
  expires INTEGER, -- unix seconds
  last_used TEXT -- a day, as 2026-03-01
);
