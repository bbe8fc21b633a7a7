"""COPY of a million rows, in and out, in each format, beside PostgreSQL."""

import datetime
import random
import tempfile
from pathlib import Path

import psycopg

from tools.bench.measure import Row, memory, seconds
from tools.bench.postgres import Postgres, installation
from tools.server import Server

COLUMNS = "id BIGINT, kind INT, price NUMERIC(12,2), score DOUBLE PRECISION, at TIMESTAMP, day DATE, name TEXT, note TEXT"
FORMATS = ("csv", "text", "binary")
BLOCK_BYTES = 1 << 16


def lines(rows: int) -> bytes:
    """The rows as CSV."""
    random.seed(1)
    start = datetime.datetime(2020, 1, 1)
    made = []
    for number in range(rows):
        moment = start + datetime.timedelta(seconds=number * 7)
        note = "" if number % 10 == 0 else f'"a note, number {number}"' if number % 3 == 0 else f"plain note {number}"
        made.append(f"{number},{number % 97},{random.randrange(10**8) / 100:.2f},{random.random()!r},{moment},"
                    f"{moment.date()},customer {number % 5000},{note}")
    return ("\n".join(made) + "\n").encode()


def blocks(connection: psycopg.Connection, sql: str) -> bytes:
    """What a COPY TO STDOUT sends."""
    with connection.cursor().copy(sql) as copy:
        return b"".join(bytes(block) for block in copy)


def send(connection: psycopg.Connection, sql: str, data: bytes) -> None:
    """Feeds a COPY FROM STDIN."""
    with connection.cursor().copy(sql) as copy:
        for start in range(0, len(data), BLOCK_BYTES):
            copy.write(data[start:start + BLOCK_BYTES])


def times(dsn: str, csv: bytes) -> dict[str, float]:
    """Seconds by direction and format."""
    found = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        data = {"csv": csv}
        for form in FORMATS:
            connection.execute(f"CREATE TABLE copied_{form} ({COLUMNS})")
            found[f"in, {form}"] = seconds(lambda: send(connection, f"COPY copied_{form} FROM STDIN (FORMAT {form})", data[form]))
            for other in FORMATS:
                if other not in data:
                    data[other] = blocks(connection, f"COPY copied_csv TO STDOUT (FORMAT {other})")
        for form in FORMATS:
            found[f"out, {form}"] = seconds(lambda: blocks(connection, f"COPY copied_csv TO STDOUT (FORMAT {form})"))
    return found


def run(binary: Path, rows: int) -> list[Row]:
    """Lines of the report."""
    csv = lines(rows)
    with tempfile.TemporaryDirectory() as folder, Server(binary, Path(folder)) as server:
        ours = times(server.dsn(), csv)
        peak = server.peak_memory_mb()
    bench = f"copy of {rows:,} rows ({len(csv) >> 20} MiB of CSV)"
    peers = {}
    if installed := installation():
        with Postgres(installed) as peer:
            peers = times(peer.dsn(), csv)
    report = []
    for way, figure in ours.items():
        report.append(Row(bench, way, f"{figure:.2f} s"))
        if way in peers:
            report.append(Row(bench, f"{way}, PostgreSQL", f"{peers[way]:.2f} s", f"{figure / peers[way]:.2f}"))
    return [*report, memory(peak, bench)]
