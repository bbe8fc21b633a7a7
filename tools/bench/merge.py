"""MERGE of 100,000 rows, half updates and half inserts, into 10 million, beside Python's deltalake on the same data."""

import multiprocessing
import resource
import shutil
import tempfile
import time
from pathlib import Path

import deltalake
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from tools.bench.measure import Row, memory, seconds
from tools.server import Server

ROWS = 10_000_000
CHANGES = 100_000
FILES = 10
MERGE = """MERGE INTO target AS t USING changes AS s ON t.id = s.id
WHEN MATCHED THEN UPDATE SET amount = s.amount, note = s.note WHEN NOT MATCHED THEN INSERT (id, amount, note)
VALUES (s.id, s.amount, s.note)"""


def run(binary: Path, rows: int = ROWS, changes: int = CHANGES) -> list[Row]:
    """Time and peak memory of both sides; every figure is of one run on a fresh copy of the table."""
    bench = f"MERGE of {changes:,} rows into {rows:,}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generator = np.random.default_rng(7)
        write_target(folder / "ours", rows)
        shutil.copytree(folder / "ours", folder / "theirs")
        pq.write_table(changed(generator, rows, changes), folder / "changes.parquet")
        with Server(binary, folder / "data", "--memory-limit", "1GB") as server:
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                connection.execute(f"CREATE TABLE target LOCATION '{folder / 'ours'}'")
                connection.execute(f"CREATE EXTERNAL TABLE changes STORED AS PARQUET LOCATION '{folder / 'changes.parquet'}'")
                ours = seconds(lambda: count(connection, changes))
            peak = server.peak_memory_mb()
        theirs, their_peak = in_a_process(merge_theirs, folder)
        compare(folder, rows, changes)
    peer = f"deltalake {deltalake.__version__}"
    return [
        Row(bench, "ours, --memory-limit 1GB", f"{ours:.2f} s"),
        Row(bench, peer, f"{theirs:.2f} s", f"{theirs / ours:.2f}"),
        memory(peak, bench),
        memory(their_peak, bench, f"peak memory of {peer}'s process"),
    ]


def write_target(folder: Path, rows: int) -> None:
    """Ten files, each with a tenth of the keys' range."""
    for part in range(FILES):
        ids = np.arange(part * rows // FILES, (part + 1) * rows // FILES, dtype=np.int64)
        columns = {"id": ids, "amount": ids % 1000 / 8, "note": pa.array(np.char.add("note ", (ids % 977).astype(str)))}
        write_deltalake(folder, pa.table(columns), mode="append")


def changed(generator: np.random.Generator, rows: int, changes: int) -> pa.Table:
    """Half of the keys are in the table, spread over all of it, half come after."""
    known = generator.choice(rows, changes // 2, replace=False).astype(np.int64)
    ids = np.concatenate([known, np.arange(rows, rows + changes - len(known), dtype=np.int64)])
    return pa.table({"id": ids, "amount": np.full(len(ids), -1.0), "note": pa.array(["merged"] * len(ids))})


def count(connection: psycopg.Connection, changes: int) -> None:
    """Runs the statement; its tag has to count every row."""
    if (found := connection.execute(MERGE).rowcount) != changes:
        raise SystemExit(f"MERGE changed {found} rows, not {changes}")


def merge_theirs(folder: Path) -> float:
    """The same by deltalake's builder."""
    source = pq.read_table(folder / "changes.parquet")
    started = time.perf_counter()
    merger = DeltaTable(folder / "theirs").merge(source, "t.id = s.id", source_alias="s", target_alias="t")
    merger.when_matched_update({"amount": "s.amount", "note": "s.note"}).when_not_matched_insert_all().execute()
    return time.perf_counter() - started


def in_a_process(action, folder: Path) -> tuple[float, float]:
    """An action's time and its process's peak memory, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (action, folder))


def measured(action, folder: Path) -> tuple[float, float]:
    """The time of an action, and the most memory that this process has held, in MiB."""
    return action(folder), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(folder: Path, rows: int, changes: int) -> None:
    """Both tables must hold the same."""
    for side in ("ours", "theirs"):
        table = DeltaTable(folder / side).to_pyarrow_table(columns=["id", "amount"])
        amounts = table["amount"].to_numpy()
        expected = (rows + changes - changes // 2, changes)
        if (found := (table.num_rows, int((amounts == -1).sum()))) != expected:
            raise SystemExit(f"{side}: {found}, expected {expected}")
