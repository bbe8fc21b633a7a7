//! The examples that `docs/functions.md` shows: they run, and give what stands there.

use alluvia_udfs::{Needs, examples};

use super::sql::Sql;

#[tokio::test(flavor = "multi_thread")]
async fn documented_examples_give_what_is_documented() {
    let sql = Sql::new().await;
    for example in examples() {
        let parsed = sql.session.parse(example.sql).unwrap_or_else(|error| panic!("{}\n{error}", example.sql));
        assert_eq!(parsed.len(), 1, "{}", example.sql);
        if example.needs == Needs::OwnModel {
            continue;
        }
        let rows = sql.texts(example.sql).await;
        if let Some(expected) = example.expected {
            assert_eq!(rows, [expected], "{}: {}", example.function, example.sql);
        }
    }
}
