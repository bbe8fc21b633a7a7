//! A table's definition under change.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::*;
use crate::{Alteration, Check, Error};

impl Place {
    async fn alter(&self, name: &str, alterations: &[Alteration]) -> Result<u64> {
        let snapshot = self.lake.open(&self.url(name)).await?;
        let altered = self.lake.alter(&snapshot, alterations, &self.session()).await?;
        self.refresh(name).await;
        Ok(altered.version)
    }
}

fn add(name: &str, data_type: DataType) -> Alteration {
    Alteration::AddColumn { field: Field::new(name, data_type, true), comment: None, if_not_exists: false }
}

fn check(name: &str, sql: &str) -> Alteration {
    Alteration::AddCheck(Check { name: name.into(), expression_sql: sql.into() })
}

fn set(key: &str, value: &str) -> Alteration {
    Alteration::SetProperties(BTreeMap::from([(key.to_owned(), value.to_owned())]))
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_at_the_end_and_are_null() {
    let place = Place::new();
    place.create_as("t", "SELECT 1 AS a, 'x' AS b").await.unwrap();
    let comment = Alteration::CommentColumn { column: "a".into(), comment: Some("first".into()) };
    place.alter("t", &[add("c", DataType::Int32), comment]).await.unwrap();
    place.insert("t", "SELECT 2 AS a, 3::int AS c").await.unwrap();
    place.check("SELECT * FROM t ORDER BY a", "| a | b | c |\n| 1 | x |   |\n| 2 |   | 3 |").await;
    let snapshot = place.lake.open(&place.url("t")).await.unwrap();
    assert_eq!(snapshot.column_comments(), BTreeMap::from([("a".to_owned(), "first".to_owned())]));
    let error = place.alter("t", &[add("C", DataType::Int32)]).await.unwrap_err();
    assert!(matches!(error, Error::DuplicateColumn { .. }), "{error}");
    // A type that needs a newer protocol brings it along.
    place.alter("t", &[add("at", DataType::Timestamp(TimeUnit::Microsecond, None))]).await.unwrap();
    place.insert("t", "SELECT 3 AS a, '2026-01-02T03:04:05'::timestamp AS at").await.unwrap();
    assert_eq!(place.count("t").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_there_are_checked() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n, nullif(value, 5) AS m FROM range(10)").await.unwrap();
    let error = place.alter("t", &[check("few", "n < 9")]).await.unwrap_err();
    assert_eq!(error.detail().unwrap(), "The expression is n < 9. Failing row contains (9, 9).");
    let promise = Alteration::SetNullable { column: "m".into(), nullable: false };
    let error = place.alter("t", std::slice::from_ref(&promise)).await.unwrap_err();
    assert!(matches!(&error, Error::NotNullViolation { column, .. } if column == "m"), "{error}");
    assert_eq!(place.lake.open(&place.url("t")).await.unwrap().version(), 0);
    place.alter("t", &[check("few", "n < 10")]).await.unwrap();
    assert!(matches!(place.insert("t", "SELECT 10 AS n").await.unwrap_err(), Error::CheckViolation { .. }));
    for sql in ["nothing > 1", "n +", "random() > n", "n"] {
        let error = place.alter("t", &[check("other", sql)]).await.unwrap_err();
        assert!(matches!(error, Error::InvalidDefinition { .. }), "{sql}: {error}");
    }
    let gone = Alteration::DropCheck { name: "FEW".into(), if_exists: false };
    place.alter("t", std::slice::from_ref(&gone)).await.unwrap();
    place.insert("t", "SELECT 10 AS n").await.unwrap();
    assert!(matches!(place.alter("t", &[gone]).await.unwrap_err(), Error::UndefinedConstraint { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_between_is_a_conflict() {
    let place = Place::new();
    place.create_as("t", "SELECT 1 AS n").await.unwrap();
    let before = place.lake.open(&place.url("t")).await.unwrap();
    place.insert("t", "SELECT 2 AS n").await.unwrap();
    let error = place.lake.alter(&before, &[check("one", "n = 1")], &place.session()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    // And the other way round: rows written under the old definition don't follow the new one.
    let before = place.lake.open(&place.url("t")).await.unwrap();
    place.alter("t", &[check("few", "n < 3")]).await.unwrap();
    let plan = place.plan("SELECT 9 AS n").await;
    let error = place.lake.append(&before, plan, &place.session()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_raise_the_protocol_and_no_further() {
    let place = Place::new();
    place.create_as("t", "SELECT 1 AS n").await.unwrap();
    place.alter("t", &[set("mine", "x")]).await.unwrap();
    assert!(log_entry(&place.path("t"), 1).iter().all(|action| action.get("protocol").is_none()));
    place.alter("t", &[set("delta.enableChangeDataFeed", "true")]).await.unwrap();
    let raised = log_entry(&place.path("t"), 2).into_iter().find_map(|action| action.get("protocol").cloned()).unwrap();
    assert_eq!(raised["minWriterVersion"], 4);
    assert!(matches!(place.alter("t", &[set("delta.nothing", "1")]).await, Err(Error::UnsupportedFeature { .. })));
    let unset = |if_exists| Alteration::UnsetProperties { keys: vec!["mine".into()], if_exists };
    assert_eq!(place.alter("t", &[unset(false)]).await.unwrap(), 3);
    assert!(matches!(place.alter("t", &[unset(false)]).await, Err(Error::InvalidDefinition { .. })));
    // Nothing to change makes no version.
    assert_eq!(place.alter("t", &[unset(true)]).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_mapped_tables_rename_and_drop_columns() {
    let place = Place::new();
    let rename = |from: &str, to: &str| Alteration::RenameColumn { from: from.into(), to: to.into() };
    let gone = |name: &str| Alteration::DropColumn { name: name.into(), if_exists: false };
    place.create_as("plain", "SELECT 1 AS n, 2 AS m").await.unwrap();
    for alteration in [rename("n", "k"), gone("n")] {
        let error = place.alter("plain", &[alteration]).await.unwrap_err();
        assert!(matches!(&error, Error::UnsupportedFeature { name } if name.contains("column mapping")), "{error}");
    }
    let spec = place.spec("SELECT 1::bigint AS n, 'a' AS s, 'q' AS p").await;
    let schema: deltalake::kernel::StructType =
        deltalake::kernel::engine::arrow_conversion::TryIntoKernel::try_into_kernel(spec.schema.as_ref()).unwrap();
    std::fs::create_dir(place.path("t")).unwrap();
    deltalake::operations::create::CreateBuilder::new()
        .with_location(place.url("t").to_string())
        .with_columns(schema.fields().cloned())
        .with_partition_columns(["p"])
        .with_configuration([("delta.columnMapping.mode", Some("name")), ("delta.constraints.few", Some("n < 9"))])
        .with_raise_if_key_not_exists(false)
        .await
        .unwrap();
    place.insert("t", "SELECT 1 AS n, 'one' AS s, 'x' AS p").await.unwrap();
    place.alter("t", &[rename("s", "name"), rename("p", "part"), add("more", DataType::Int64)]).await.unwrap();
    place.insert("t", "SELECT 2 AS n, 'two' AS name, 'y' AS part, 7 AS more").await.unwrap();
    let expected = "| n | name | part | more |\n| 1 | one  | x    |      |\n| 2 | two  | y    | 7    |";
    place.check("SELECT n, name, part, more FROM t ORDER BY n", expected).await;
    place.check("SELECT n FROM t WHERE part = 'x'", "| n |\n| 1 |").await;
    assert!(matches!(place.alter("t", &[rename("n", "k")]).await, Err(Error::InvalidDefinition { .. })));
    assert!(matches!(place.alter("t", &[gone("part")]).await, Err(Error::InvalidDefinition { .. })));
    place.alter("t", &[gone("name")]).await.unwrap();
    // A column of the same name is another one.
    place.alter("t", &[add("name", DataType::Utf8)]).await.unwrap();
    place.check("SELECT name FROM t WHERE n = 1", "| name |\n|      |").await;
}
