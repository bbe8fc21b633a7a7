"""Collects real paragraphs for the embedding bench from the sources of the crates in Cargo.lock.

Markdown files and documentation comments are cut at blank lines; code, tables and duplicates are left out. The sample
is the paragraphs with the smallest SHA-256, so the same Cargo.lock gives the same file.
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent.parent
CARGO_HOME = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
SHORTEST_CHARACTERS, LONGEST_CHARACTERS = 100, 4000
FENCE = re.compile(r"^\s*(```|~~~).*?^\s*(```|~~~)\s*$", re.MULTILINE | re.DOTALL)
DOC_LINE = re.compile(r"^\s*//[/!] ?(.*)$")
LETTERS = re.compile(r"[A-Za-z]{2,}")


def documents() -> Iterator[str]:
    """The Markdown of every crate that Cargo.lock names and that lies in cargo's registry folder."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    for folder in sorted(f"{package['name']}-{package['version']}" for package in packages if "source" in package):
        for crate in sorted(CARGO_HOME.glob(f"registry/src/*/{folder}")):
            for path in sorted(crate.rglob("*.md")):
                yield path.read_text(errors="replace")
            for path in sorted(crate.rglob("*.rs")):
                yield from doc_comments(path.read_text(errors="replace"))


def doc_comments(source: str) -> Iterator[str]:
    """Each run of `///` or `//!` lines as one document."""
    lines: list[str] = []
    for line in source.splitlines():
        if found := DOC_LINE.match(line):
            lines.append(found[1])
        elif lines:
            yield "\n".join(lines)
            lines = []
    yield "\n".join(lines)


def paragraphs(document: str) -> Iterator[str]:
    """Prose paragraphs on one line each."""
    for block in re.split(r"\n\s*\n", FENCE.sub("", document)):
        text = " ".join(block.split())
        prose = not text.startswith(("|", "<", "[!", "#![", "```")) and len(LETTERS.findall(text)) >= 5
        if prose and SHORTEST_CHARACTERS <= len(text) <= LONGEST_CHARACTERS:
            yield text


def collect(path: Path, count: int) -> list[str]:
    """The sample in arrival order; written to `path` as Parquet (id BIGINT, text TEXT) when it isn't there."""
    if path.exists():
        return pq.read_table(path)["text"].to_pylist()
    seen = {text for document in documents() for text in paragraphs(document)}
    if len(seen) < count:
        raise SystemExit(f"cargo's registry folder holds {len(seen)} paragraphs, {count} are needed: run `cargo fetch`")
    chosen = sorted(seen, key=lambda text: hashlib.sha256(text.encode()).digest())[:count]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": pa.array(range(count), pa.int64()), "text": chosen}), path)
    return chosen
