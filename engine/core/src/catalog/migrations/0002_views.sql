-- Views, what is said about things, and other lakes that are attached.

-- query: SQL as the view was made from, stars spelled out. columns: an Arrow schema as JSON.
-- uses: a JSON object, see `ViewUses`; what a view uses can't be dropped from under it.
CREATE TABLE views (
    oid INTEGER PRIMARY KEY,
    schema_oid INTEGER NOT NULL REFERENCES schemas (oid),
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    columns TEXT NOT NULL,
    uses TEXT NOT NULL,
    UNIQUE (schema_oid, name)
) STRICT;

-- Of schemas, views, models and external tables, and of their columns; "column" is empty for the thing itself. Delta
-- tables keep theirs in their own log.
CREATE TABLE comments (
    oid INTEGER NOT NULL,
    "column" TEXT NOT NULL,
    comment TEXT NOT NULL,
    PRIMARY KEY (oid, "column")
) STRICT;

CREATE TABLE attachments (
    oid INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    location TEXT NOT NULL
) STRICT;

PRAGMA user_version = 2;
