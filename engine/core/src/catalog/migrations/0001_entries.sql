-- Schemas, tables and models, and the folders that are being made or removed.

-- 'oid': the newest object identifier given out; 'version': the number of committed changes.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

CREATE TABLE schemas (
    oid INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- location: of a managed table its folder relative to the data directory, so that the directory can be moved; of any
-- other table a URL. options: a JSON object. columns: an Arrow schema as JSON.
CREATE TABLE tables (
    oid INTEGER PRIMARY KEY,
    schema_oid INTEGER NOT NULL REFERENCES schemas (oid),
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('managed', 'located', 'external')),
    format TEXT NOT NULL,
    location TEXT NOT NULL,
    options TEXT NOT NULL,
    columns TEXT,
    UNIQUE (schema_oid, name)
) STRICT;

CREATE TABLE models (
    oid INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    source TEXT NOT NULL,
    options TEXT NOT NULL,
    spec TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- Folders, relative to the data directory, that no entry names yet or any longer: what a killed process leaves here is
-- removed at the next start.
CREATE TABLE unfinished_folders (
    path TEXT PRIMARY KEY
) STRICT;

-- Identifiers below 16384 belong to PostgreSQL's own catalogs.
INSERT INTO counters (name, value) VALUES ('oid', 16384), ('version', 1);
INSERT INTO schemas (oid, name) VALUES (16384, 'public');

PRAGMA user_version = 1;
