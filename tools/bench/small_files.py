"""Scanning a Delta table of 1,000 small files, beside Python's deltalake, whose engine is DataFusion too.

Python's deltalake writes the table, in commits of ten files. Each run opens it anew on both sides: ours as every
statement does, the peer by `DeltaTable(path)`.
"""

import statistics
import tempfile
from pathlib import Path

import deltalake
import psycopg
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from tools.bench.measure import Row, memory, seconds
from tools.server import Server

COMMITS, FILES_PER_COMMIT, ROWS_PER_FILE = 100, 10, 1000
REPEATS = 7
QUERIES = {
    "sum of two columns": "SELECT sum(n), sum(x) FROM small",
    "count": "SELECT count(*) FROM small",
    "one file by its partition": "SELECT sum(n) FROM small WHERE part = 7 AND day = 42",
    "one file by its statistics": "SELECT sum(n) FROM small WHERE n BETWEEN 500000 AND 500999",
}


def run(binary: Path) -> list[Row]:
    """Median times of each query on both sides."""
    bench = f"scan {COMMITS * FILES_PER_COMMIT:,} files of {ROWS_PER_FILE:,} rows"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "small"
        write(table)
        with Server(binary, Path(folder) / "data") as server, psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE EXTERNAL TABLE small STORED AS DELTA LOCATION '{table.as_posix()}'")
            ours = {name: measure(lambda: connection.execute(query).fetchone()) for name, query in QUERIES.items()}
            peak = server.peak_memory_mb()
        theirs = {name: measure(lambda: through_python(table, query)) for name, query in QUERIES.items()}
    rows = []
    for name, (our_time, our_answer) in ours.items():
        their_time, their_answer = theirs[name]
        if tuple(our_answer) != tuple(their_answer):
            raise SystemExit(f"{name}: {our_answer} is not {their_answer}")
        rows.append(Row(bench, f"ours, {name}", f"{our_time * 1000:.1f} ms"))
        figure = f"{their_time * 1000:.1f} ms"
        rows.append(Row(bench, f"deltalake {deltalake.__version__}, {name}", figure, f"{their_time / our_time:.2f}"))
    return [*rows, memory(peak, bench)]


def write(table: Path) -> None:
    """The table, partitioned by the number of the commit and of the file in it."""
    for commit in range(COMMITS):
        count = FILES_PER_COMMIT * ROWS_PER_FILE
        first = commit * count
        numbers = pa.array(range(first, first + count), pa.int64())
        columns = {
            "day": pa.array([commit] * count, pa.int32()),
            "part": pa.array([row // ROWS_PER_FILE for row in range(count)], pa.int32()),
            "n": numbers,
            "x": pa.array([float(row % 100) for row in range(count)], pa.float64()),
            "name": pa.array([f"name {row % 97}" for row in range(count)]),
        }
        write_deltalake(table, pa.table(columns), mode="append", partition_by=["day", "part"])


def through_python(table: Path, query: str) -> list[object]:
    """The one row that deltalake's own engine answers with."""
    batches = QueryBuilder().register("small", DeltaTable(table)).execute(query).read_all()
    return list(pa.table(batches).to_pylist()[0].values())


def measure(query: object) -> tuple[float, list[object]]:
    """The median time of a query, and its answer."""
    answer = query()
    return statistics.median(seconds(query) for _ in range(REPEATS)), answer
