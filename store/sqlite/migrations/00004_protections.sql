-- +goose Up
-- What guarded a host and from when to when it was reported: the newest row is in
-- force, the rows before it tell what stopped.
CREATE TABLE protections (
  host  TEXT NOT NULL,     -- hosts.id
  first INTEGER NOT NULL,  -- unix milliseconds of the first report that said so
  last  INTEGER NOT NULL,  -- of the last one
  body  BLOB NOT NULL,     -- without the time
  PRIMARY KEY (host, first)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE protections;
