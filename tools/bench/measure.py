"""What all benches share: clocks, rows of the report, and the statements of sql/bench."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from tools.demo.run import statements
from tools.server import ROOT

NAME = re.compile(r"^-- measure: (\w+)$", re.MULTILINE)
DATA = ROOT / ".setup" / "bench"


@dataclass(frozen=True)
class Row:
    """One line of the report; `ratio` is ours against this peer, `goal` what it must reach."""

    bench: str
    way: str
    figure: str
    ratio: str = ""
    goal: str = ""


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def bench_sql(name: str) -> tuple[list[str], dict[str, str]]:
    """The statements of sql/bench/NAME.sql: those that prepare, and by name those that are measured."""
    preparing, measured = [], {}
    for statement in statements((ROOT / "sql" / "bench" / f"{name}.sql").read_text()):
        if found := NAME.search(statement):
            measured[found[1]] = statement
        else:
            preparing.append(statement)
    return preparing, measured


def memory(server_mb: float | None, bench: str, way: str = "peak memory of our server", goal: str = "") -> Row:
    """The report's line about a server's largest resident size."""
    return Row(bench, way, "unknown" if server_mb is None else f"{server_mb:,.0f} MiB", goal=goal)


def report(rows: list[Row]) -> str:
    """All rows as a Markdown table."""
    lines = ["| bench | way | figure | ours / this | goal |", "|---|---|---|---|---|"]
    lines += [f"| {row.bench} | {row.way} | {row.figure} | {row.ratio} | {row.goal} |" for row in rows]
    return "\n".join(lines)
