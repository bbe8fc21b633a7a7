//! `read_parquet`, `read_csv`, `read_json`, `read_arrow`, `read_delta`: files where they lie.

use crate::declaration::{Argument, ArgumentKind, DocumentedExample, Family, FunctionDoc, Needs};

const PATH: Argument = Argument {
    name: "path",
    kind: ArgumentKind::Texts,
    optional: false,
    description: "A file, a folder, or a pattern (`*` and `?` within a name, `**` across folders, `[a-z]`), or an \
                  array of them; a URL for object stores. A relative path begins at the server's working directory. \
                  In a folder, names that begin with `_` or `.` are passed over.",
};

const OPTIONS: Argument = Argument {
    name: "options",
    kind: ArgumentKind::Options,
    optional: true,
    description: "Named: `hive_partitioning` (whether folders like `year=2026` are columns; found out without it) and \
                  `columns` (`'a INT, b TEXT'` instead of what the files say).",
};

pub const READ_PARQUET: FunctionDoc = FunctionDoc {
    name: "read_parquet",
    aliases: &[],
    family: Family::Table,
    syntax: &["read_parquet(path [, option => value, ...])"],
    description: "The rows of Parquet files. Columns are those of all files; one that a file lacks is NULL there.",
    arguments: &[PATH, OPTIONS],
    returns: "rows",
    examples: &[DocumentedExample {
        sql: "SELECT count(*) FROM read_parquet('data/files/orders.parquet')",
        expected: Some("3"),
        needs: Needs::Nothing,
    }],
    source: "DuckDB's `read_parquet`",
};

pub const READ_CSV: FunctionDoc = FunctionDoc {
    name: "read_csv",
    aliases: &[],
    family: Family::Table,
    syntax: &["read_csv(path [, option => value, ...])"],
    description: "The rows of CSV files, plain or compressed (`.gz`, `.zst`, `.bz2`, `.xz`). Types are found from the \
                  first records; a later value that doesn't fit is an error. An empty field is NULL, quoted or not. \
                  Several files must have the same columns in the same order.",
    arguments: &[
        PATH,
        Argument {
            name: "options",
            kind: ArgumentKind::Options,
            optional: true,
            description: "Named: `header` (true by default), `delim`, `quote`, `escape`, `comment`, `nullstr` (another \
                          text for NULL), `null_padding` (short rows end in NULL), `all_varchar` (no types are \
                          found), `sample_size` (records looked at for types, 20,480 by default, -1 for all), \
                          `columns` (`'a INT, b TEXT'`), `compression`, `hive_partitioning`.",
        },
    ],
    returns: "rows",
    examples: &[DocumentedExample {
        sql: "SELECT sum(amount) FROM read_csv('data/files/orders.csv', delim => ';')",
        expected: Some("42.5"),
        needs: Needs::Nothing,
    }],
    source: "DuckDB's `read_csv`",
};

pub const READ_JSON: FunctionDoc = FunctionDoc {
    name: "read_json",
    aliases: &[],
    family: Family::Table,
    syntax: &["read_json(path [, option => value, ...])"],
    description: "The rows of JSON files, plain or compressed: an object in each line, or one array of objects with \
                  `format => 'array'`. Fields that none of the first records has are left out.",
    arguments: &[
        PATH,
        Argument {
            name: "options",
            kind: ArgumentKind::Options,
            optional: true,
            description: "Named: `format` (`newline_delimited` or `array`), `sample_size` (records looked at for \
                          columns and types, 20,480 by default, -1 for all), `columns`, `compression`, \
                          `hive_partitioning`.",
        },
    ],
    returns: "rows",
    examples: &[DocumentedExample {
        sql: "SELECT max(customer) FROM read_json('data/files/orders.jsonl')",
        expected: Some("cleo"),
        needs: Needs::Nothing,
    }],
    source: "DuckDB's `read_json`",
};

pub const READ_ARROW: FunctionDoc = FunctionDoc {
    name: "read_arrow",
    aliases: &[],
    family: Family::Table,
    syntax: &["read_arrow(path [, option => value, ...])"],
    description: "The rows of files in Arrow's IPC format (Feather version 2). All files must have the same columns.",
    arguments: &[PATH, OPTIONS],
    returns: "rows",
    examples: &[DocumentedExample {
        sql: "SELECT min(id) FROM read_arrow('data/files/orders.arrow')",
        expected: Some("1"),
        needs: Needs::Nothing,
    }],
    source: "the Arrow columnar format's IPC files",
};

pub const READ_DELTA: FunctionDoc = FunctionDoc {
    name: "read_delta",
    aliases: &[],
    family: Family::Table,
    syntax: &["read_delta(path [, version])"],
    description: "The rows of a Delta table that the catalog doesn't know, at its newest version or another.",
    arguments: &[
        Argument {
            name: "path",
            kind: ArgumentKind::Text,
            optional: false,
            description: "The folder that holds the table's `_delta_log`, or its URL.",
        },
        Argument {
            name: "version",
            kind: ArgumentKind::Version,
            optional: true,
            description: "A version's number, or the time at which it was the newest.",
        },
    ],
    returns: "rows",
    examples: &[DocumentedExample {
        sql: "SELECT count(*) FROM read_delta('data/files/orders_delta', version => 0)",
        expected: Some("2"),
        needs: Needs::Nothing,
    }],
    source: "Databricks' and DuckDB's `delta_scan`",
};
