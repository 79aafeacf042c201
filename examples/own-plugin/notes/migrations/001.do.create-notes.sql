-- One text for both engines. A file that was applied never changes: what comes later is 002.do.….
CREATE TABLE note (
  id BIGINT PRIMARY KEY NOT NULL,
  text TEXT NOT NULL
);

CREATE TABLE note_counter (last_id BIGINT NOT NULL);
INSERT INTO note_counter (last_id) VALUES (0);
