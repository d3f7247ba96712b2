-- +goose Up
-- One row per file content ever imported. decoder is the version of our reading of
-- it: a newer one imports the same content again.
CREATE TABLE files (
  id       INTEGER PRIMARY KEY,
  path     TEXT    NOT NULL,
  sha256   TEXT    NOT NULL UNIQUE,
  size     INTEGER NOT NULL,
  decoder  INTEGER NOT NULL,
  imported INTEGER NOT NULL
) STRICT;

-- What one source says about one identifier. body is a vuln.Record without what
-- statements holds. vulnerabilities is space-separated.
CREATE TABLE records (
  id              INTEGER PRIMARY KEY,
  source          TEXT    NOT NULL,
  name            TEXT    NOT NULL,
  vulnerabilities TEXT    NOT NULL,
  modified        INTEGER NOT NULL,
  withdrawn       INTEGER NOT NULL,
  hash            BLOB    NOT NULL,
  file            INTEGER NOT NULL,
  body            BLOB    NOT NULL,
  UNIQUE (source, name)
) STRICT;

CREATE TABLE mentions (
  vulnerability TEXT    NOT NULL,
  record        INTEGER NOT NULL,
  PRIMARY KEY (vulnerability, record)
) STRICT, WITHOUT ROWID;

-- What a record says about one package, vendor product or CPE product. kind is the
-- ecosystem with its release, 'product', or 'cpe'. Clustered for the question
-- triage asks: all statements about these names.
CREATE TABLE statements (
  kind   TEXT    NOT NULL,
  name   TEXT    NOT NULL,
  record INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  body   BLOB    NOT NULL,
  PRIMARY KEY (kind, name, record, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX statements_record ON statements (record);

-- What the records of one vulnerability add up to (triage.Digest), by the version
-- of the typing rules. known is when it first entered this store.
CREATE TABLE digests (
  vulnerability TEXT    PRIMARY KEY,
  rules         INTEGER NOT NULL,
  known         INTEGER NOT NULL,
  body          BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE epss (
  cve        TEXT    PRIMARY KEY,
  score      REAL    NOT NULL,
  percentile REAL    NOT NULL,
  day        INTEGER NOT NULL,
  model      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rejects (
  file   INTEGER NOT NULL,
  path   TEXT    NOT NULL,
  entry  TEXT    NOT NULL,
  offset INTEGER NOT NULL,
  source TEXT    NOT NULL,
  name   TEXT    NOT NULL,
  reason TEXT    NOT NULL
) STRICT;

CREATE TABLE changes (
  id            INTEGER PRIMARY KEY,
  at            INTEGER NOT NULL,
  vulnerability TEXT    NOT NULL,
  kind          TEXT    NOT NULL,
  source        TEXT    NOT NULL,
  old           TEXT    NOT NULL,
  new           TEXT    NOT NULL
) STRICT;
CREATE INDEX changes_at ON changes (at);

CREATE TABLE sources (
  name     TEXT    PRIMARY KEY,
  files    INTEGER NOT NULL,
  imported INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
  id        TEXT    PRIMARY KEY,
  name      TEXT    NOT NULL,
  first     INTEGER NOT NULL,
  collected INTEGER NOT NULL,
  body      BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE hosts;
DROP TABLE sources;
DROP TABLE changes;
DROP TABLE rejects;
DROP TABLE epss;
DROP TABLE digests;
DROP TABLE statements;
DROP TABLE mentions;
DROP TABLE records;
DROP TABLE files;
