//! The files under `sql/`: the demo runs from end to end and its numbers are good; the benches' files parse.

use std::path::{Path, PathBuf};

use super::harness::root;
use super::sql::Sql;

#[tokio::test(flavor = "multi_thread")]
async fn every_file_runs_or_parses() {
    let sql = Sql::new().await;
    for file in files(&root().join("sql")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let folder = file.parent().and_then(Path::file_name).unwrap().to_string_lossy().into_owned();
        match folder.as_str() {
            "demo" => {
                sql.batches(&from_root(&text)).await;
            }
            // Their data comes with `make bench`.
            "bench" => {
                let parsed = sql.session.parse(&text);
                assert!(parsed.is_ok_and(|statements| !statements.is_empty()), "{}", file.display());
            }
            other => panic!("{}: say here whether files of {other} run", file.display()),
        }
    }

    let predictions = "SELECT CAST(avg(CASE WHEN predicted = diagnosis THEN 1.0 ELSE 0.0 END) > 0.95 AS TEXT), \
                       CAST(count(*) AS TEXT) FROM demo.cancer_predictions";
    sql.check(predictions, &["true|285"]).await;
    let tickets = "SELECT CAST(avg(CASE WHEN predicted = label THEN 1.0 ELSE 0.0 END) > 0.8 AS TEXT) \
                   FROM demo.ticket_predictions";
    sql.check(tickets, &["true"]).await;
    let nearest = "SELECT count(*) FROM (SELECT name FROM demo.function_vectors \
                   ORDER BY cosine_distance(embedding, embed('how do I round a number down')) LIMIT 5) AS nearest \
                   WHERE name = 'floor'";
    sql.check(nearest, &["1"]).await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Files name paths from the repository's root, where the demo's server is started. Tests start elsewhere.
fn from_root(text: &str) -> String {
    let root = root();
    ["tests/data/", ".setup/"].iter().fold(text.to_owned(), |text, folder| {
        text.replace(&format!("'{folder}"), &format!("'{}/{folder}", root.display()))
    })
}
