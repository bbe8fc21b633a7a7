//! Faults between server and bucket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::COUNT;
use super::proxy::{Fate, Proxy};
use super::s3::{S3, secret};
use crate::process::{Process, code, value};

/// A commit that landed, and whose answer is lost in any way, is one commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_counts_once() {
    let (s3, folder) = (S3::start().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::start(s3.port).await;
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute(&secret(proxy.port, ", TIMEOUT 2, RETRIES 3")).await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE t (n BIGINT) LOCATION 's3://lake/t'; CREATE TABLE n LOCATION 's3://lake/n' AS SELECT 0 AS n",
        )
        .await
        .unwrap();
    let fates = [Fate::ResetAfter, Fate::ErrorAfter, Fate::Silence, Fate::Reset, Fate::SlowDown, Fate::Dribble];
    for (round, fate) in fates.into_iter().enumerate() {
        for (sql, path) in [(COUNT, "merge"), ("INSERT INTO t VALUES (0)", "insert")] {
            let struck = Arc::new(AtomicBool::new(false));
            let once = Arc::clone(&struck);
            proxy.judge(move |request| {
                let commit = request.create && request.target.contains("_delta_log/0");
                if commit && !once.swap(true, Ordering::SeqCst) { fate } else { Fate::Pass }
            });
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{path} {fate:?}: {error:?}"));
            assert!(struck.load(Ordering::SeqCst), "{path} {fate:?}");
        }
        let round = round + 1;
        assert_eq!(value(&client, "SELECT n FROM n").await, round.to_string(), "{fate:?}");
        assert_eq!(value(&client, "SELECT count(*) FROM t").await, round.to_string(), "{fate:?}");
        for table in ["t", "n"] {
            assert_eq!(s3.entries(table).await, 1 + round, "{table} {fate:?}");
        }
    }
}

/// When the store stays silent after it has taken a commit, the client is told that nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_knows_of_is_reported_as_such() {
    let (s3, folder) = (S3::start().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::start(s3.port).await;
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute(&secret(proxy.port, ", TIMEOUT 1, RETRIES 0")).await.unwrap();
    client.batch_execute("CREATE TABLE t (n BIGINT) LOCATION 's3://lake/t'").await.unwrap();
    let dead = Arc::new(AtomicBool::new(false));
    let died = Arc::clone(&dead);
    proxy.judge(move |request| {
        if died.load(Ordering::SeqCst) {
            return Fate::Reset;
        }
        if request.create && request.target.contains("_delta_log/0") {
            died.store(true, Ordering::SeqCst);
            return Fate::ResetAfter;
        }
        Fate::Pass
    });
    let error = client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap_err();
    assert_eq!(code(&error), "40003", "{error:?}");
    proxy.judge(|_| Fate::Pass);
    assert_eq!(value(&client, "SELECT count(*) FROM t").await, "1");
}

/// Faults of all kinds on all requests: what was acknowledged is there once, what failed isn't.
#[tokio::test(flavor = "multi_thread")]
async fn faults_everywhere_lose_and_double_nothing() {
    let (s3, folder) = (S3::start().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::start(s3.port).await;
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute(&secret(proxy.port, ", TIMEOUT 1, RETRIES 3")).await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE t (a BIGINT) LOCATION 's3://lake/t'; CREATE TABLE n LOCATION 's3://lake/n' AS SELECT 0 AS n",
        )
        .await
        .unwrap();
    proxy.judge(|request| match request.number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58 {
        0..4 => Fate::Reset,
        4..8 => Fate::ResetAfter,
        8..11 => Fate::SlowDown,
        11..14 => Fate::ErrorAfter,
        14 => Fate::Silence,
        15..18 => Fate::Dribble,
        _ => Fate::Pass,
    });
    let (mut there, mut in_doubt, mut counted) = (vec![], vec![], (0, 0));
    for number in 0..12 {
        match client.batch_execute(&format!("INSERT INTO t VALUES ({number})")).await {
            Ok(()) => there.push(number),
            Err(error) if code(&error) == "40003" => in_doubt.push(number),
            Err(error) => assert!(["08006", "58030"].contains(&code(&error).as_str()), "{error:?}"),
        }
        match client.batch_execute(COUNT).await {
            Ok(()) => counted = (counted.0 + 1, counted.1 + 1),
            Err(error) if code(&error) == "40003" => counted.1 += 1,
            Err(error) => assert!(["08006", "58030"].contains(&code(&error).as_str()), "{error:?}"),
        }
    }
    assert!(proxy.harmed() > 20, "the storm was a breeze: {}", proxy.harmed());
    assert!(there.len() > 5, "nearly nothing succeeds: {there:?}");
    proxy.judge(|_| Fate::Pass);
    let found = value(&client, "SELECT string_agg(a::text, ',' ORDER BY a) FROM t").await;
    let found: Vec<i64> = found.split(',').map(|number| number.parse().unwrap()).collect();
    let mut expected = there.clone();
    expected.extend(in_doubt.iter().filter(|number| found.contains(number)));
    expected.sort_unstable();
    assert_eq!(found, expected);
    let n: i64 = value(&client, "SELECT n FROM n").await.parse().unwrap();
    assert!((counted.0..=counted.1).contains(&n), "{n} of {counted:?}");
}
