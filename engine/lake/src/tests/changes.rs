//! Rows changed: what a change commits, which changes contradict each other, and what the change data feed says.

use std::collections::BTreeSet;

use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit, when};
use deltalake::kernel::Action;
use deltalake::logstore::get_actions;

use super::*;
use crate::{ACTION, BEFORE_PREFIX, Block, Change, Changed, Error, FILE, Insertion, Operation, ROW};

impl Place {
    /// Deletes the rows with `n` above a bound, or gives them another value, in all files.
    async fn above(&self, snapshot: &Snapshot, bound: i64, value: Option<i64>) -> Result<Changed> {
        let replaced: BTreeSet<String> = snapshot.files().map(|file| file.path).collect();
        let rows = snapshot.positions(&self.session(), Some(replaced.clone())).unwrap();
        let hit = || col("n").gt(lit(bound));
        let action = if value.is_some() { 1i8 } else { 2i8 };
        let mut columns: Vec<Expr> = vec![when(hit(), lit(action)).otherwise(lit(0i8)).unwrap().alias(ACTION)];
        for field in snapshot.schema().fields() {
            columns.push(col(field.name()).alias(format!("{BEFORE_PREFIX}{}", field.name())));
            let changed = match value {
                Some(value) if field.name() == "n" => when(hit(), lit(value)).otherwise(col("n")).unwrap(),
                _ => col(field.name()),
            };
            columns.push(changed.alias(field.name()));
        }
        let plan = LogicalPlanBuilder::scan("t", provider_as_source(rows), None).unwrap().project(columns).unwrap();
        let change = Change { replaced, ..Change::new(plan.build().unwrap(), Operation::Delete { predicate: None }) };
        self.lake.change(snapshot, change, &self.session()).await
    }

    async fn actions(&self, name: &str, version: u64) -> Vec<Action> {
        let snapshot = self.snapshot(name).await;
        let entry = snapshot.log_store().read_commit_entry(version).await.unwrap().unwrap();
        get_actions(version, &entry).unwrap()
    }
}

fn change_files(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Cdc(_))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_changed_in_one_entry() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    let changed = place.above(&place.snapshot("t").await, 5, None).await.unwrap();
    assert_eq!((changed.deleted, changed.updated, changed.inserted, changed.version), (4, 0, 0, 1));
    let changed = place.above(&place.snapshot("t").await, 3, Some(-1)).await.unwrap();
    assert_eq!((changed.deleted, changed.updated, changed.version), (0, 2, 2));
    place.refresh("t").await;
    place.check("SELECT count(*) AS c, sum(n) AS s FROM t", "| c | s |\n| 6 | 4 |").await;
    // A change of no row commits nothing, and leaves no file.
    let files = data_files(&place.path("t")).len();
    let changed = place.above(&place.snapshot("t").await, 100, None).await.unwrap();
    assert_eq!((changed.deleted, changed.version), (0, 2));
    assert_eq!(data_files(&place.path("t")).len(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_contradict_each_other_conflict() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    let base = place.snapshot("t").await;
    let session = place.session();
    let append = |reads_table: bool| {
        let (place, base, session) = (&place, &base, &session);
        async move {
            let plan = place.plan("SELECT 100::bigint AS n").await;
            place.lake.insert(base, Insertion { plan, reads_table, returning: false }, session).await
        }
    };
    // A blind append, then a deletion on the version before it: the deletion doesn't mind.
    append(false).await.unwrap();
    place.above(&base, 8, None).await.unwrap();
    place.refresh("t").await;
    place.check("SELECT count(*) AS c, max(n) AS m FROM t", "| c  | m   |\n| 10 | 100 |").await;
    // A second deletion of what the first replaced does.
    let error = place.above(&base, 7, None).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    // Nor does an append that has read the table pass beside it; a blind one does.
    let error = append(true).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    append(false).await.unwrap();
    // Two that each read the table and insert: one of them must run again.
    let base = place.snapshot("t").await;
    let insert = |value: i64| {
        let (place, base, session) = (&place, &base, &session);
        async move {
            let plan = place.plan(&format!("SELECT {value}::bigint AS n")).await;
            place.lake.insert(base, Insertion { plan, reads_table: true, returning: false }, session).await
        }
    };
    insert(1000).await.unwrap();
    assert!(matches!(insert(1001).await, Err(Error::Conflict { .. })));
    // What lost has left no file behind.
    let snapshot = place.snapshot("t").await;
    let named: BTreeSet<String> = snapshot.files().map(|file| file.path).collect();
    let written = data_files(&place.path("t"));
    assert!(written.len() <= named.len() + 1, "{written:?} {named:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_the_same_in_every_scan() {
    let place = Place::with_partitions(4);
    for start in [0, 100_000, 200_000] {
        let query = format!("SELECT value AS n FROM range({start}, {})", start + 50_000);
        match start {
            0 => place.create_as("t", &query).await.unwrap(),
            _ => place.insert("t", &query).await.unwrap(),
        };
    }
    let snapshot = place.snapshot("t").await;
    for name in ["one", "two"] {
        let rows = snapshot.positions(&place.session(), None).unwrap();
        place.context.register_table(name, rows).unwrap();
    }
    let join = format!(
        "SELECT count(*) AS c, sum(CASE WHEN one.n = two.n THEN 0 ELSE 1 END) AS differing
         FROM one JOIN two ON one.{FILE} = two.{FILE} AND one.{ROW} = two.{ROW} WHERE one.n % 2 = 0"
    );
    place.check(&join, "| c     | differing |\n| 75000 | 0         |").await;
    let few = format!("SELECT count(DISTINCT {FILE}) AS f, max({ROW}) AS r FROM one WHERE n = 100007");
    place.check(&few, "| f | r |\n| 1 | 7 |").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_data_feed_tells_rows_before_and_after() {
    let place = Place::new();
    let mut spec = place.spec("SELECT 1::bigint AS n, 'x' AS day").await;
    spec.partition_columns = vec!["day".to_owned()];
    spec.properties.insert("delta.enableChangeDataFeed".into(), "true".into());
    place.create("t", &spec).await;
    place
        .insert("t", "SELECT value AS n, CASE WHEN value < 5 THEN 'a' ELSE 'b' END AS day FROM range(10)")
        .await
        .unwrap();
    assert_eq!(change_files(&place.actions("t", 1).await), 0);
    place.above(&place.snapshot("t").await, 3, Some(-1)).await.unwrap();
    assert!(change_files(&place.actions("t", 2).await) > 0);
    place.above(&place.snapshot("t").await, 2, None).await.unwrap();
    let table = deltalake::open_table(place.url("t")).await.unwrap();
    let changes = table.scan_cdf().with_starting_version(2).build(&place.session(), None).await.unwrap();
    let batches = datafusion::physical_plan::collect(changes, place.session().task_ctx()).await.unwrap();
    place
        .context
        .register_batch("changes", arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap())
        .unwrap();
    place
        .check(
            "SELECT _commit_version AS v, _change_type AS kind, day, count(*) AS c, sum(n) AS s FROM changes
             GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            "| v | kind             | day | c | s  |
             | 2 | update_postimage | a   | 1 | -1 |
             | 2 | update_postimage | b   | 5 | -5 |
             | 2 | update_preimage  | a   | 1 | 4  |
             | 2 | update_preimage  | b   | 5 | 35 |
             | 3 | delete           | a   | 1 | 3  |",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_its_own_until_it_commits() {
    let place = Place::new();
    place.create_as("t", "SELECT value AS n FROM range(10)").await.unwrap();
    let block = Block::begin(&place.snapshot("t").await).unwrap();
    place.above(&block.snapshot().await.unwrap(), 7, None).await.unwrap();
    place.insert("t", "SELECT 100::bigint AS n").await.unwrap();
    // The block doesn't see what came since, nor the other what the block did.
    assert_eq!(block.snapshot().await.unwrap().version(), 1);
    place.check("SELECT count(*) AS c FROM t", "| c  |\n| 11 |").await;
    place.above(&block.snapshot().await.unwrap(), 5, Some(50)).await.unwrap();
    assert_eq!(block.commit().await.unwrap(), 2);
    place.refresh("t").await;
    place.check("SELECT count(*) AS c, sum(n) AS s FROM t", "| c | s   |\n| 9 | 215 |").await;
    // One rewritten file of two, and nothing of what lay between.
    assert_eq!(data_files(&place.path("t")).len(), 3);
    let block = Block::begin(&place.snapshot("t").await).unwrap();
    place.above(&block.snapshot().await.unwrap(), 0, None).await.unwrap();
    block.roll_back().await;
    assert_eq!(data_files(&place.path("t")).len(), 3);
    assert_eq!(place.snapshot("t").await.version(), 2);
}
