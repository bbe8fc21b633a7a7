"""The latency of a commit: one row a statement, beside Python's deltalake."""

import statistics
import tempfile
from pathlib import Path

import deltalake
import psycopg
import pyarrow as pa
from deltalake import write_deltalake

from tools.bench.measure import Row, seconds
from tools.server import Server

COMMITS = 200


def run(binary: Path) -> list[Row]:
    """Median and 95th percentile of both sides, checkpoints included as they come."""
    bench = f"commit latency, {COMMITS} appends of a row"
    with tempfile.TemporaryDirectory() as folder:
        with Server(binary, Path(folder) / "data") as server, psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE commits (n bigint, name text)")
            insert = "INSERT INTO commits VALUES (%s, 'a name')"
            ours = [seconds(lambda: connection.execute(insert, [number])) for number in range(COMMITS)]
            (count,) = connection.execute("SELECT count(*) FROM commits").fetchone()
        if count != COMMITS:
            raise SystemExit(f"{count} rows of {COMMITS}")
        table = Path(folder) / "theirs"
        row = pa.table({"n": pa.array([1], pa.int64()), "name": ["a name"]})
        theirs = [seconds(lambda: write_deltalake(table, row, mode="append")) for _ in range(COMMITS)]
    (our_median, our_tail), (their_median, their_tail) = spread(ours), spread(theirs)
    peer = f"deltalake {deltalake.__version__}"
    return [
        Row(bench, "ours", f"p50 {our_median:.1f} ms, p95 {our_tail:.1f} ms"),
        Row(bench, peer, f"p50 {their_median:.1f} ms, p95 {their_tail:.1f} ms", f"{their_median / our_median:.2f}"),
    ]


def spread(times: list[float]) -> tuple[float, float]:
    """The median and the 95th percentile in milliseconds."""
    return statistics.median(times) * 1000, statistics.quantiles(times, n=20)[-1] * 1000
