//! `table_changes` and `table_diff`: how a table came from one version to another.

use crate::declaration::{Argument, ArgumentKind, DocumentedExample, Family, FunctionDoc, Needs};

const TABLE: Argument = Argument {
    name: "table",
    kind: ArgumentKind::Table,
    optional: false,
    description: "A Delta table, as a name or as a text.",
};

pub const TABLE_CHANGES: FunctionDoc = FunctionDoc {
    name: "table_changes",
    aliases: &[],
    family: Family::Table,
    syntax: &["table_changes(table, from [, to])"],
    description: "Every change of a row that the versions from `from` to `to` made, both included: the table's columns, \
                  `_change_type` (`insert`, `delete`, `update_preimage`, `update_postimage`), `_commit_version` and \
                  `_commit_timestamp`. The table must have had the property `delta.enableChangeDataFeed` all the time.",
    arguments: &[
        TABLE,
        Argument {
            name: "from",
            kind: ArgumentKind::Version,
            optional: false,
            description: "The first version, by its number, or by a time: the first version committed then or later.",
        },
        Argument {
            name: "to",
            kind: ArgumentKind::Version,
            optional: true,
            description: "The last version, by its number, or by a time: the last one committed by then. The newest \
                          without it.",
        },
    ],
    returns: "rows",
    examples: &[DocumentedExample {
        sql: "SELECT id, _change_type FROM table_changes('orders', 3) ORDER BY _commit_version",
        expected: None,
        needs: Needs::OwnModel,
    }],
    source: "Databricks' `table_changes`",
};

pub const TABLE_DIFF: FunctionDoc = FunctionDoc {
    name: "table_diff",
    aliases: &[],
    family: Family::Table,
    syntax: &["table_diff(table, from, to)"],
    description: "The rows by which version `to` of a table differs from version `from`, computed from the files that \
                  only one of them has: the table's columns and `_change_type`, which is `insert` for a row that `to` \
                  has more often than `from`, and `delete` for the reverse, each as often as it is more.",
    arguments: &[
        TABLE,
        Argument {
            name: "from",
            kind: ArgumentKind::Version,
            optional: false,
            description: "A version's number, or the time at which it was the newest.",
        },
        Argument { name: "to", kind: ArgumentKind::Version, optional: false, description: "The same of the other." },
    ],
    returns: "rows",
    examples: &[DocumentedExample {
        sql: "SELECT _change_type, count(*) FROM table_diff(orders, 3, 5) GROUP BY _change_type",
        expected: None,
        needs: Needs::OwnModel,
    }],
    source: "SQL's EXCEPT ALL in both directions",
};
