//! Snapshots that are kept: shared while nothing changes, never stale, never another table's.

use super::*;

async fn versions(place: &Place, count: u64, value: &str) {
    place.create_as("t", &format!("SELECT {value}::bigint AS n")).await.unwrap();
    for _ in 1..count {
        place.insert("t", &format!("SELECT {value}::bigint AS n")).await.unwrap();
    }
}

async fn sum(place: &Place) -> String {
    place.refresh("t").await;
    pretty_format_batches(
        &place
            .rows("SELECT version_count, total FROM (SELECT count(*) AS version_count, sum(n) AS total FROM t)")
            .await,
    )
    .unwrap()
    .to_string()
    .lines()
    .nth(3)
    .unwrap()
    .replace(' ', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_at_one_version_share_it() {
    let place = Place::new();
    versions(&place, 2, "1").await;
    let first = place.lake.open(&place.url("t")).await.unwrap();
    let second = place.lake.open(&place.url("t")).await.unwrap();
    assert!(Arc::ptr_eq(&first.state_ref(), &second.state_ref()));
    place.insert("t", "SELECT 1::bigint AS n").await.unwrap();
    let third = place.lake.open(&place.url("t")).await.unwrap();
    assert_eq!((first.version(), third.version()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_is_seen() {
    let place = Place::new();
    versions(&place, 1, "1").await;
    let other = Place { folder: tempfile::tempdir().unwrap(), lake: Lake::new(), context: SessionContext::new() };
    for expected in ["|2|2|", "|3|3|", "|4|4|"] {
        let snapshot = other.lake.open(&place.url("t")).await.unwrap();
        let plan = place.plan("SELECT 1::bigint AS n").await;
        other.lake.append(&snapshot, plan, &other.session()).await.unwrap();
        assert_eq!(sum(&place).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_table_at_the_same_place_is_another_table() {
    for (before, after) in [(2, 2), (2, 4), (3, 1)] {
        let place = Place::new();
        versions(&place, before, "1").await;
        assert_eq!(sum(&place).await, format!("|{before}|{before}|"));
        // Somebody else removes it, so that nothing here is told.
        std::fs::remove_dir_all(place.path("t")).unwrap();
        let other = Place { folder: place.folder, lake: Lake::new(), context: SessionContext::new() };
        versions(&other, after, "10").await;
        let place = Place { folder: other.folder, lake: place.lake, context: place.context };
        assert_eq!(sum(&place).await, format!("|{after}|{}|", after * 10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_newest_entries_is_read_again() {
    let place = Place::new();
    versions(&place, 3, "1").await;
    assert_eq!(sum(&place).await, "|3|3|");
    std::fs::remove_file(place.path("t/_delta_log/00000000000000000002.json")).unwrap();
    assert_eq!(sum(&place).await, "|2|2|");
    place.lake.remove(&place.url("t")).await.unwrap();
    assert!(place.lake.open(&place.url("t")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_over_checkpoints() {
    let place = Place::new();
    place.create_as("t", "SELECT 1::bigint AS n").await.unwrap();
    for version in 1..25 {
        place.insert("t", "SELECT 1::bigint AS n").await.unwrap();
        assert_eq!(place.lake.open(&place.url("t")).await.unwrap().version(), version);
    }
    assert_eq!(sum(&place).await, "|25|25|");
    let fresh = Lake::new().open(&place.url("t")).await.unwrap();
    assert_eq!((fresh.version(), fresh.files().count()), (24, 25));
}
