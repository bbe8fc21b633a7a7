//! Files that filters leave out, and those that only seem to be without matching rows.

use datafusion::physical_plan::displayable;
use serde_json::json;

use super::*;

async fn plan_of(place: &Place, sql: &str) -> String {
    let plan = place.context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    displayable(plan.as_ref()).indent(true).to_string()
}

/// Changes each `add` action of a log entry.
fn rewrite_adds(place: &Place, version: u64, change: impl Fn(&mut serde_json::Value)) {
    let path = place.path("t").join("_delta_log").join(format!("{version:020}.json"));
    let actions = log_entry(&place.path("t"), version).into_iter().map(|mut action| {
        if let Some(add) = action.get_mut("add") {
            change(add);
        }
        action.to_string()
    });
    std::fs::write(path, actions.collect::<Vec<_>>().join("\n")).unwrap();
}

fn change_stats(add: &mut serde_json::Value, change: impl Fn(&mut serde_json::Value)) {
    let mut stats: serde_json::Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    change(&mut stats);
    add["stats"] = json!(stats.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_say_which_files_are_spared_and_why() {
    let place = Place::new();
    let mut spec = place.spec("SELECT 1::bigint AS n, 'x' AS p").await;
    spec.partition_columns = vec!["p".into()];
    place.create("t", &spec).await;
    for start in 0..4 {
        place
            .insert("t", &format!("SELECT {start} AS n, chr(97 + v) AS p FROM (VALUES (0), (1)) AS t(v)"))
            .await
            .unwrap();
    }
    let plan = plan_of(&place, "SELECT n FROM t WHERE p = 'a' AND n >= 2").await;
    assert!(plan.contains("delta_files=2/8, "), "{plan}");
    assert!(plan.contains("files_pruned_by_partitions=4, files_pruned_by_statistics=2"), "{plan}");
    let none = plan_of(&place, "SELECT n FROM t WHERE n > 100").await;
    assert!(none.contains("delta_files=0/8"), "{none}");
    place.check("SELECT count(*) AS c FROM t WHERE n > 100", "| c |\n| 0 |").await;
    place.check("SELECT sum(n) AS s FROM t WHERE n > 100", "| s |\n|   |").await;
    // Whole files and counts come from the log.
    let counted = plan_of(&place, "SELECT count(*), min(n), max(n) FROM t").await;
    assert!(!counted.contains("DataSourceExec: delta"), "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn not_a_number_is_greater_than_the_bounds_say() {
    let place = Place::new();
    place.context.sql("SET datafusion.execution.parquet.pushdown_filters = true").await.unwrap();
    place.create_as("t", "SELECT * FROM (VALUES (1, 1.0), (2, 'NaN'::double), (3, 2.0)) AS t(k, x)").await.unwrap();
    place.insert("t", "SELECT 4::bigint AS k, 'NaN'::double AS x").await.unwrap();
    place.check("SELECT k FROM t WHERE x > 100 ORDER BY k", "| k |\n| 2 |\n| 4 |").await;
    place.check("SELECT k FROM t WHERE NOT (x <= 100) ORDER BY k", "| k |\n| 2 |\n| 4 |").await;
    place.check("SELECT k FROM t WHERE x > 100 AND k > 2", "| k |\n| 4 |").await;
    place.check("SELECT x FROM t ORDER BY x DESC LIMIT 1", "| x   |\n| NaN |").await;
    place.check("SELECT max(x) AS m FROM t", "| m   |\n| NaN |").await;
    let joined = "SELECT t.k FROM t JOIN (SELECT 'NaN'::double AS y) AS u ON t.x = u.y ORDER BY 1";
    place.check(joined, "| k |\n| 2 |\n| 4 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn null_partitions_are_found() {
    let place = Place::new();
    for (name, value) in [("text", "'a'"), ("whole", "1::bigint"), ("day", "DATE '2024-01-01'"), ("truth", "true")] {
        let mut spec = place.spec(&format!("SELECT 1::bigint AS n, {value} AS p")).await;
        spec.partition_columns = vec!["p".into()];
        place.create(name, &spec).await;
        place.insert(name, &format!("SELECT 1 AS n, {value} AS p UNION ALL SELECT 2, NULL")).await.unwrap();
        for (condition, expected) in [
            ("p IS NULL", "| n |\n| 2 |"),
            ("p IS NOT NULL", "| n |\n| 1 |"),
            (&format!("p = {value}"), "| n |\n| 1 |"),
            (&format!("p IS DISTINCT FROM {value}"), "| n |\n| 2 |"),
            (&format!("p <> {value} OR n = 2"), "| n |\n| 2 |"),
        ] {
            place.check(&format!("SELECT n FROM {name} WHERE {condition}"), expected).await;
        }
        place.check(&format!("SELECT count(p) AS c, count(*) AS d FROM {name}"), "| c | d |\n| 1 | 2 |").await;
        place.check(&format!("SELECT n FROM {name} ORDER BY p NULLS FIRST LIMIT 1"), "| n |\n| 2 |").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_and_rounded_bounds_hide_nothing_and_are_no_answers() {
    let place = Place::new();
    let rows = "SELECT 'abcdefgh' AS s, TIMESTAMP '2024-01-01 00:00:00.123456' AS at";
    place.create_as("t", rows).await.unwrap();
    rewrite_adds(&place, 0, |add| {
        change_stats(add, |stats| {
            stats["minValues"] = json!({"s": "abc", "at": "2024-01-01T00:00:00.123"});
            stats["maxValues"] = json!({"s": "abd", "at": "2024-01-01T00:00:00.123"});
        });
    });
    place.refresh("t").await;
    place.check("SELECT count(*) AS c FROM t WHERE s > 'abcd' AND s < 'abce'", "| c |\n| 1 |").await;
    place.check("SELECT max(s) AS s FROM t", "| s        |\n| abcdefgh |").await;
    place.check("SELECT count(*) AS c FROM t WHERE at > TIMESTAMP '2024-01-01 00:00:00.123400'", "| c |\n| 1 |").await;
    place.check("SELECT max(at) > TIMESTAMP '2024-01-01 00:00:00.1231' AS later FROM t", "| later |\n| true  |").await;
    let plan = plan_of(&place, "SELECT s FROM t WHERE s > 'abe'").await;
    assert!(plan.contains("delta_files=0/1"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_statistics_are_read() {
    let place = Place::new();
    place.create_as("t", "SELECT 1::bigint AS n, 'a' AS s").await.unwrap();
    place.insert("t", "SELECT 2 AS n, 'b' AS s").await.unwrap();
    rewrite_adds(&place, 1, |add| {
        add.as_object_mut().unwrap().remove("stats");
    });
    place.refresh("t").await;
    place.check("SELECT count(*) AS c, min(n) AS a, max(n) AS b FROM t", "| c | a | b |\n| 2 | 1 | 2 |").await;
    place.check("SELECT n FROM t WHERE n > 1", "| n |\n| 2 |").await;
    place.check("SELECT n FROM t WHERE s IS NOT NULL ORDER BY n DESC LIMIT 1", "| n |\n| 2 |").await;
    place.check("SELECT count(*) AS c FROM (SELECT 1 FROM t LIMIT 2)", "| c |\n| 2 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decimals_that_a_float_cannot_hold_are_not_pruned() {
    let place = Place::new();
    place
        .create_as("t", "SELECT '12345678901234567.89'::decimal(20, 2) AS d, 1.10::decimal(10, 2) AS e")
        .await
        .unwrap();
    place.check("SELECT count(*) AS c FROM t WHERE d = '12345678901234567.89'::decimal(20, 2)", "| c |\n| 1 |").await;
    place.check("SELECT max(d) AS d FROM t", "| d                    |\n| 12345678901234567.89 |").await;
    place.check("SELECT count(*) AS c FROM t WHERE e = 1.10::decimal(10, 2)", "| c |\n| 1 |").await;
    let plan = plan_of(&place, "SELECT d FROM t WHERE e > 1.10::decimal(10, 2)").await;
    assert!(plan.contains("delta_files=0/1"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_older_files_lack_are_null() {
    let place = Place::new();
    place.create_as("t", "SELECT 1::bigint AS n").await.unwrap();
    // What ALTER TABLE ... ADD COLUMN writes.
    let metadata = log_entry(&place.path("t"), 0).into_iter().find(|action| action.get("metaData").is_some());
    let mut metadata = metadata.unwrap();
    let mut schema: serde_json::Value =
        serde_json::from_str(metadata["metaData"]["schemaString"].as_str().unwrap()).unwrap();
    for (name, data_type) in
        [("s", json!("string")), ("v", json!({"type": "array", "elementType": "float", "containsNull": true}))]
    {
        let field = json!({"name": name, "type": data_type, "nullable": true, "metadata": {}});
        schema["fields"].as_array_mut().unwrap().push(field);
    }
    metadata["metaData"]["schemaString"] = json!(schema.to_string());
    std::fs::write(place.path("t/_delta_log/00000000000000000001.json"), metadata.to_string()).unwrap();
    place.insert("t", "SELECT 2::bigint AS n, 'x' AS s, [1.5::real] AS v").await.unwrap();
    place.check("SELECT n, s, v FROM t ORDER BY n", "| n | s | v     |\n| 1 |   |       |\n| 2 | x | [1.5] |").await;
    place.check("SELECT n FROM t WHERE s IS NULL", "| n |\n| 1 |").await;
    place.check("SELECT n FROM t WHERE s IS NOT NULL", "| n |\n| 2 |").await;
    place.check("SELECT n FROM t WHERE coalesce(s, 'y') = 'y'", "| n |\n| 1 |").await;
    place.check("SELECT count(s) AS c, max(s) AS m, count(v) AS d FROM t", "| c | m | d |\n| 1 | x | 1 |").await;
    place.context.sql("SET datafusion.execution.parquet.pushdown_filters = true").await.unwrap();
    place.check("SELECT n FROM t WHERE s IS NULL AND n > 0", "| n |\n| 1 |").await;
}
