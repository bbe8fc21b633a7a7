"""Runs the peer comparisons and prints them as one Markdown table.

    python -m tools.bench.run target/release/alluvia [--only streaming tpch tabular] [--paragraphs 20000] ...

Each bench starts a server of its own, so that the peak memory belongs to it, and measures its peers right after it on
the same machine. sentence-transformers joins where tools/requirements-bench.txt is installed.
"""

import argparse
import os
import platform
from pathlib import Path

from tools.bench import commits, copy, embedding, merge, small_files, streaming, tabular, tpch
from tools.bench.measure import report

BENCHES = {
    "streaming": lambda arguments: streaming.run(arguments.binary),
    "tpch": lambda arguments: tpch.run(arguments.binary, arguments.scale),
    "small_files": lambda arguments: small_files.run(arguments.binary),
    "commits": lambda arguments: commits.run(arguments.binary),
    "merge": lambda arguments: merge.run(arguments.binary),
    "tabular": lambda arguments: tabular.run(arguments.binary, arguments.rows),
    "copy": lambda arguments: copy.run(arguments.binary, arguments.rows),
    "embedding": lambda arguments: embedding.run(arguments.binary, arguments.paragraphs, arguments.slow_paragraphs),
}


def main() -> None:
    """Runs the chosen benches in their order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=list(BENCHES))
    parser.add_argument("--paragraphs", type=int, default=20_000)
    parser.add_argument("--slow-paragraphs", type=int, default=4_000, help="how many of them the two slow peers see")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--scale", type=float, default=1, help="TPC-H's scale factor")
    arguments = parser.parse_args()
    arguments.binary = arguments.binary.absolute()
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", flush=True)
    rows = []
    for name in arguments.only:
        print(f"{name} ...", flush=True)
        rows += BENCHES[name](arguments)
    print("\n" + report(rows))


if __name__ == "__main__":
    main()
