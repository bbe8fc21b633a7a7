//! A large result never lies in memory as a whole, whoever reads it and however slowly.

use futures::TryStreamExt;

use super::process::Process;

/// Above what the server takes when it idles.
const GROWTH_MIB_MAX: f64 = 300.0;

const ROWS: i64 = 10_000_000;

/// Without a row limit, as most drivers ask for all rows.
#[tokio::test(flavor = "multi_thread")]
async fn ten_million_rows_take_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = server.connect().await;
    client.batch_execute("SELECT 1").await.unwrap();
    let idle = server.memory_mib("VmRSS");
    let sql = format!("SELECT v, v * 2 AS w FROM generate_series(1, {ROWS}) AS t(v)");
    let begun_at = std::time::Instant::now();
    let mut rows = std::pin::pin!(client.query_raw(&sql, Vec::<i64>::new()).await.unwrap());
    let (mut count, mut sum) = (0_i64, 0_i64);
    while let Some(row) = rows.try_next().await.unwrap() {
        count += 1;
        sum += row.get::<_, i64>(1);
    }
    assert_eq!((count, sum), (ROWS, ROWS * (ROWS + 1)));
    let (Some(idle), Some(peak)) = (idle, server.memory_mib("VmHWM")) else { return };
    eprintln!("{ROWS} rows in {:?}: {idle:.0} MiB idle, {peak:.0} MiB at most", begun_at.elapsed());
    assert!(peak - idle < GROWTH_MIB_MAX, "{idle:.0} MiB became {peak:.0} MiB");
}
