"""Embedding real paragraphs: through SQL, by plain onnxruntime in two orders, and by sentence-transformers."""

import importlib.util
import tempfile
import time
from pathlib import Path

import psycopg

from tools.bench.measure import DATA, Row, bench_sql, memory, seconds
from tools.bench.paragraphs import collect
from tools.encoder import Encoder
from tools.server import ROOT, Server

FOLDER = ROOT / ".setup" / "models" / "all-MiniLM-L6-v2"
BATCH_ROWS = 32
MEMORY_GOAL = "< 1,536 MiB"


def run(binary: Path, count: int, slow_count: int) -> list[Row]:
    """Documents per second of each way; the two slow peers see only every n-th paragraph, `slow_count` in all."""
    texts = collect(DATA / "paragraphs.parquet", count)
    sample = texts[:: max(1, len(texts) // slow_count)]
    name = f"embed {len(texts):,} paragraphs"
    ours, peak = through_sql(binary, len(texts))
    rows = [
        Row(name, "SQL: CREATE TABLE AS SELECT embed(text)", f"{ours:,.0f} docs/s"),
        memory(peak, name, goal=MEMORY_GOAL),
    ]

    encoder = Encoder(FOLDER)
    peers = [
        ("onnxruntime, sorted by length, 2,048 padded tokens a batch", sorted_by_length, texts, ">= 0.95"),
        (f"onnxruntime, batches of {BATCH_ROWS} in arrival order", in_arrival_order, sample, ">= 3.5"),
    ]
    for way, embed, inputs, goal in peers:
        rate = len(inputs) / seconds(lambda: embed(encoder, inputs))
        rows.append(Row(name, f"{way} ({len(inputs):,})", f"{rate:,.0f} docs/s", f"{ours / rate:.2f}", goal))
    rows.append(sentence_transformers(name, sample, ours))
    return rows


def through_sql(binary: Path, count: int) -> tuple[float, float | None]:
    """Documents per second of our CTAS, and the server's peak memory in MiB."""
    preparing, measured = bench_sql("embedding")
    with tempfile.TemporaryDirectory() as folder, Server(binary, Path(folder)) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            for statement in preparing:
                connection.execute(statement)
            elapsed = seconds(lambda: connection.execute(measured["embed"]))
            (stored,) = connection.execute(measured["count"]).fetchone()
            if stored != count:
                raise SystemExit(f"{stored} vectors were stored, {count} were asked for")
        return count / elapsed, server.peak_memory_mb()


def sorted_by_length(encoder: Encoder, texts: list[str]) -> None:
    """Tokenise all, sort, cut by padded tokens, run."""
    tokens = encoder.tokenize(texts)
    encoder.vectors(tokens, encoder.by_length(tokens))


def in_arrival_order(encoder: Encoder, texts: list[str]) -> None:
    """Batches of a fixed number of rows, as a loop over a table would send them."""
    tokens = encoder.tokenize(texts)
    starts = range(0, len(tokens), BATCH_ROWS)
    encoder.vectors(tokens, [list(range(start, min(start + BATCH_ROWS, len(tokens)))) for start in starts])


def sentence_transformers(name: str, texts: list[str], ours: float) -> Row:
    """torch on the CPU at its own defaults, where it is installed; its weights are those of our graph."""
    way = f"sentence-transformers, batch {BATCH_ROWS} ({len(texts):,})"
    if importlib.util.find_spec("sentence_transformers") is None:
        return Row(name, way, "not installed: tools/requirements-bench.txt", goal=">= 2.5")
    from tools.bench.checkpoint import load

    model = load(DATA / "checkpoint")
    model.encode(texts[:BATCH_ROWS], batch_size=BATCH_ROWS)
    started = time.perf_counter()
    model.encode(texts, batch_size=BATCH_ROWS, normalize_embeddings=True)
    rate = len(texts) / (time.perf_counter() - started)
    return Row(name, way, f"{rate:,.0f} docs/s", f"{ours / rate:.2f}", ">= 2.5")
