-- +goose Up
-- What every question asks of a record (who says it, about what) stays in rows that
-- are close together; the text, asked for one record at a time, moves out of the way.
CREATE TABLE bodies (
  record INTEGER PRIMARY KEY,
  body   BLOB NOT NULL
) STRICT;
INSERT INTO bodies (record, body) SELECT id, body FROM records;
ALTER TABLE records DROP COLUMN body;
-- Every start asks whether a digest was made by other rules than today's.
CREATE INDEX digests_rules ON digests (rules);

-- +goose Down
DROP INDEX digests_rules;
ALTER TABLE records ADD COLUMN body BLOB NOT NULL DEFAULT x'';
UPDATE records SET body = (SELECT b.body FROM bodies b WHERE b.record = records.id);
DROP TABLE bodies;
