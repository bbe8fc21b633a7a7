"""Reading three million rows, and `SELECT 1`: the same clients against us and against PostgreSQL.

Two clients read the rows: psql, which formats and writes every row, and a bare socket that only drains the answer, so
that the server alone is timed. Both use the simple protocol in text, as psql does.
"""

import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tools.bench.measure import Row, bench_sql, memory, seconds
from tools.bench.postgres import Postgres, installation
from tools.server import Server

REPEATS = 5
ROUND_TRIPS = 2000
RECEIVE_BYTES = 1 << 20
READY_FOR_QUERY = b"Z\x00\x00\x00\x05I"
PEER_TABLE = "CREATE TABLE pairs AS SELECT i::bigint AS a, i::bigint * 2 AS b FROM generate_series(1, 3000000) AS i"


def run(binary: Path) -> list[Row]:
    """Rows per second and the median round trip of both servers."""
    preparing, measured = bench_sql("streaming")
    with tempfile.TemporaryDirectory() as folder, Server(binary, Path(folder)) as server:
        ours = figures(server.dsn(), preparing, measured["rows"], measured["one"])
        peak = server.peak_memory_mb()
    rows = list(lines("ours", ours))
    binaries = installation()
    if binaries is None:
        return [*rows, Row("stream", "PostgreSQL", "not installed"), memory(peak, "stream")]
    with Postgres(binaries) as peer:
        query = measured["rows"].replace("bench.pairs", "pairs")
        theirs = figures(peer.dsn(), [PEER_TABLE, "VACUUM ANALYZE pairs"], query, measured["one"])
        version = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True).stdout.split()[2]
    return [*rows, *lines(f"PostgreSQL {version}", theirs, ours), memory(peak, "stream 3,000,000 rows")]


def figures(dsn: str, preparing: list[str], query: str, one: str) -> dict[str, float]:
    """Rows per second by client, and the median milliseconds of a round trip."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in preparing:
            connection.execute(statement)
        (count,) = connection.execute(f"SELECT count(*) FROM ({query.rstrip(';')}) AS counted").fetchone()
        cursor = connection.cursor()
        round_trips = [seconds(lambda: cursor.execute(one).fetchone()) for _ in range(ROUND_TRIPS)]
        prepared = [seconds(lambda: cursor.execute(one, prepare=True).fetchone()) for _ in range(ROUND_TRIPS)]
    clients = {"socket": lambda: drain(dsn, query)}
    if shutil.which("psql"):
        clients["psql"] = lambda: psql(dsn, query)
    rates = {name: count / statistics.median(seconds(read) for _ in range(REPEATS)) for name, read in clients.items()}
    return rates | {
        "SELECT 1": statistics.median(round_trips) * 1000,
        "SELECT 1, prepared": statistics.median(prepared) * 1000,
    }


def lines(who: str, found: dict[str, float], ours: dict[str, float] | None = None) -> Iterator[Row]:
    """The report's lines about one server, with the ratio where it is a peer."""
    for name, figure in found.items():
        ratio = f"{ours[name] / figure:.2f}" if ours else ""
        if name.startswith("SELECT 1"):
            yield Row(name, who, f"p50 {figure:.3f} ms", ratio, "" if ours else "< 1 ms")
        else:
            yield Row(
                "stream 3,000,000 rows", f"{who}, {name}", f"{figure / 1e6:.2f} M rows/s", ratio, ">= 1" if ours else ""
            )


def psql(dsn: str, query: str) -> None:
    """psql in its unaligned format, written to nowhere."""
    subprocess.run(["psql", "-X", "-q", "-A", "-t", "-o", "/dev/null", "-c", query, dsn], check=True)


def drain(dsn: str, query: str) -> None:
    """Sends one simple query and reads to its end without looking at the rows."""
    options = dict(word.split("=") for word in dsn.split())
    with socket.create_connection((options["host"], int(options["port"]))) as connection:
        parameters = f"user\0{options['user']}\0database\0{options['dbname']}\0\0".encode()
        connection.sendall(struct.pack("!II", 8 + len(parameters), 196608) + parameters)
        read_until_ready(connection)
        text = query.encode() + b"\0"
        connection.sendall(b"Q" + struct.pack("!I", 4 + len(text)) + text)
        if b"SELECT" not in read_until_ready(connection):
            raise SystemExit("the drained query did not end with SELECT")


def read_until_ready(connection: socket.socket) -> bytes:
    """Reads until the server waits for the next query; returns the last bytes."""
    buffer, tail = bytearray(RECEIVE_BYTES), b""
    while not tail.endswith(READY_FOR_QUERY):
        size = connection.recv_into(buffer)
        if size == 0:
            raise SystemExit("the server closed the connection")
        tail = (tail + bytes(buffer[max(0, size - 64) : size]))[-64:]
    return tail
