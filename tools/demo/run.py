"""Runs the demo: a server over an empty data folder, then sql/demo in order.

Every statement is printed with its result and its time; the first error ends the demo.

    python -m tools.demo.run target/debug/alluvia
"""

import argparse
import re
import tempfile
import time
from pathlib import Path

import psycopg

from tools.server import ROOT, Server

CELL_WIDTH = 78
# A statement ends at a semicolon that stands neither in a string nor in a comment.
STATEMENT = re.compile(r"(?:'[^']*'|--[^\n]*|[^;'])+;?")
NEXT_STEPS = """
That was everything. To go on:

    make serve                                            a server over the folder data/, with a release build
    psql -h 127.0.0.1 -p 5433 -U alluvia -f FILE          any statement of yours, or one of sql/demo/*.sql

The statements above are in sql/demo/, their data in tests/data/demo/, and every function in docs/functions.md."""


def statements(text: str) -> list[str]:
    """The statements of a file, each with the comments that precede it."""
    return [found.strip() for found in STATEMENT.findall(text) if re.sub(r"--[^\n]*", "", found).strip()]


def cell(value: object) -> str:
    """One value on one line, shortened."""
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 3] + "..."


def table(names: list[str], rows: list[tuple]) -> str:
    """Rows as an aligned table; numbers to the right."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells)]
    numeric = [all(isinstance(value, (int, float)) or value is None for value in column) for column in zip(*rows)]
    numeric = numeric or [False] * len(names)

    def line(row: list[str]) -> str:
        padded = (text.rjust(w) if right else text.ljust(w) for text, w, right in zip(row, widths, numeric))
        return " | ".join(padded).rstrip()

    return "\n".join([line(names), "-+-".join("-" * width for width in widths), *map(line, cells)])


def show(connection: psycopg.Connection, statement: str) -> None:
    """Runs one statement and prints it, its result and its time."""
    print(f"\n{statement}\n")
    started = time.perf_counter()
    cursor = connection.execute(statement)
    if cursor.description:
        rows = cursor.fetchall()
        milliseconds = (time.perf_counter() - started) * 1000
        print(table([column.name for column in cursor.description], rows))
    else:
        milliseconds = (time.perf_counter() - started) * 1000
    print(f"({cursor.statusmessage}, {milliseconds:,.1f} ms)")


def main() -> None:
    """Runs every file of sql/demo; the first error ends the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    binary = parser.parse_args().binary.absolute()
    with tempfile.TemporaryDirectory(prefix="alluvia-demo-") as folder, Server(binary, Path(folder)) as server:
        print(f"alluvia is ready on {server.host}:{server.port}")
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            for path in sorted((ROOT / "sql" / "demo").glob("*.sql")):
                print(f"\n{'=' * 20} {path.relative_to(ROOT)} {'=' * 20}")
                for statement in statements(path.read_text()):
                    try:
                        show(connection, statement)
                    except psycopg.Error as error:
                        raise SystemExit(f"{error.sqlstate or 'connection'}: {error}") from error
    print(NEXT_STEPS)


if __name__ == "__main__":
    main()
