//! Statements as deep as programs write them by accident: planned or refused, and the server is still there.

use crate::process::{Process, code, value};

fn chain(part: &str, glue: &str, count: usize) -> String {
    vec![part; count].join(glue)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_statement_takes_no_one_along() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute("SET statement_timeout = '2s'").await.unwrap();
    let joins: String = (0..1_400).map(|number| format!(" CROSS JOIN (VALUES (1)) AS b{number}(c{number})")).collect();
    for (sql, expected) in [
        (format!("SELECT {}", chain("1", " + ", 100_000)), "54001"),
        (chain("SELECT 1", " UNION ALL ", 100_000), "54001"),
        (format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)), "42601"),
        (format!("SELECT {} true", "NOT ".repeat(100_000)), "54001"),
        (format!("SELECT {} FROM FROM", chain("abs(1)", " || ", 1_000_000)), "54001"),
        (format!("SELECT {}", chain("1", " + ", 19_000)), "54001"),
        // As deep as is let through: time may run out, the stack must not.
        (format!("SELECT {}", chain("1", " + ", 2_400)), "57014"),
        (chain("SELECT 1", " UNION ALL ", 1_400), "57014"),
        (format!("SELECT count(*) FROM (VALUES (1)) AS a{joins}"), "57014"),
        (format!("SELECT {}1{}", "abs(".repeat(300), ")".repeat(300)), "57014"),
        (format!("SELECT 1 WHERE 1 IN ({})", chain("1", ", ", 20_000)), "57014"),
    ] {
        let what = &sql[..40];
        if let Err(error) = client.batch_execute(&sql).await {
            assert_eq!(code(&error), expected, "{what}: {error:?}");
        }
        assert_eq!(value(&server.connect().await, "SELECT 1").await, "1", "{what}");
    }
}
