-- Credentials of object stores. shown: the options that may be seen, a JSON object; sealed: all of them, encrypted.
-- scope: the beginning of the URLs that it opens, empty for all of its type. version: never given out twice.

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    scope TEXT NOT NULL,
    shown TEXT NOT NULL,
    sealed BLOB NOT NULL,
    owner TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (type, scope)
) STRICT;

PRAGMA user_version = 3;
