"""TPC-H in Delta tables, all 22 queries, beside DuckDB on the Parquet files that lie in them.

The data comes from tpchgen-cli as Parquet and becomes Delta tables by our own CREATE TABLE AS. Both sides run each query
REPEATS times after a warm-up, in turns, and the median counts; both have as many threads as there are cores. Answers are compared.
"""

import decimal
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import psycopg

from tools.bench.measure import DATA, Row, bench_sql, memory, seconds
from tools.server import Server

TABLES = ("lineitem", "orders", "partsupp", "part", "customer", "supplier", "nation", "region")
REPEATS = 5
TOLERANCE = 1e-6
GOAL = 1.3


def run(binary: Path, scale: float) -> list[Row]:
    """The time of each query on both sides and the geometric mean of their ratios."""
    source = prepare(scale)
    _, queries = bench_sql("tpch")
    with tempfile.TemporaryDirectory() as folder, Server(binary, Path(folder)) as server:
        peer = duckdb.connect()
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            for table in TABLES:
                paths = load(connection, source, table)
                peer.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet({paths})")
            measured = {name: measure(connection, peer, query) for name, query in queries.items()}
        peak = server.peak_memory_mb()
    bench = f"TPC-H, scale {scale:g}"
    rows = []
    for name, (our_time, their_time, same) in measured.items():
        figure = f"{our_time:.3f} s, DuckDB {their_time:.3f} s{'' if same else ', ANSWERS DIFFER'}"
        rows.append(Row(f"{bench}, {name}", "ours", figure, f"{our_time / their_time:.2f} of the time"))
    mean = math.exp(statistics.mean(math.log(ours / theirs) for ours, theirs, _ in measured.values()))
    totals = [sum(times[side] for times in measured.values()) for side in (0, 1)]
    figure = f"{totals[0]:.2f} s, DuckDB {duckdb.__version__} {totals[1]:.2f} s"
    rows.append(Row(bench, "all 22 queries", figure, f"{totals[0] / totals[1]:.2f} of the time"))
    goal = f"<= {GOAL} of the time"
    rows.append(Row(bench, "geometric mean of the ratios", "", f"{mean:.2f} of the time", goal))
    return [*rows, memory(peak, bench)]


def prepare(scale: float) -> Path:
    """The folder with the generated Parquet files."""
    folder = DATA / f"tpch-{scale:g}"
    if not all((folder / f"{table}.parquet").exists() for table in TABLES):
        generate = [str(Path(sys.executable).parent / "tpchgen-cli"), "parquet", "-s", f"{scale:g}", "--output-dir", str(folder)]
        subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)
    return folder


def load(connection: psycopg.Connection, source: Path, table: str) -> list[str]:
    """Makes the Delta table from the Parquet file; answers with the files of it."""
    location = (source / f"{table}.parquet").as_posix()
    connection.execute(f"CREATE EXTERNAL TABLE {table}_source STORED AS PARQUET LOCATION '{location}'")
    connection.execute(f"CREATE TABLE {table} AS SELECT * FROM {table}_source")
    (folder,) = connection.execute(
        "SELECT location FROM system.tables WHERE schema = 'public' AND name = %s", [table]
    ).fetchone()
    return [str(path) for path in Path(folder.removeprefix("file://")).rglob("*.parquet")]


def measure(
    connection: psycopg.Connection, peer: duckdb.DuckDBPyConnection, query: str
) -> tuple[float, float, bool]:
    """The median times of a query on both sides, in turns, and whether the answers agree."""
    sides = (lambda: connection.execute(query).fetchall(), lambda: peer.execute(query).fetchall())
    ours, theirs = (side() for side in sides)
    times = [[seconds(side) for side in sides] for _ in range(REPEATS)]
    our_time, their_time = (statistics.median(column) for column in zip(*times, strict=True))
    return our_time, their_time, alike(ours, theirs)


def alike(left: list[tuple], right: list[tuple]) -> bool:
    """Whether two answers agree, rounding of averages and quotients apart."""
    return len(left) == len(right) and all(
        len(ours) == len(theirs) and all(map(near, ours, theirs)) for ours, theirs in zip(left, right, strict=True)
    )


def near(left: object, right: object) -> bool:
    """Whether two values agree."""
    numbers = (int, float, decimal.Decimal)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return math.isclose(float(left), float(right), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return str(left).strip() == str(right).strip()
