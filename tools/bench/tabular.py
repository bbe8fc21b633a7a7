"""Scoring a million rows by ONNX classifiers: `ai_query` beside a plain scan plus one onnxruntime call in Python."""

import statistics
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from tools.bench.measure import DATA, Row, bench_sql, memory, seconds
from tools.server import Server

COLUMNS = [f"f{number:02}" for number in range(30)]
TREES, TRAINING_ROWS, ROWS_PER_WRITE = 100, 20_000, 100_000
SEED = 20261120
REPEATS = 5
TOLERANCE = 1e-5


def run(binary: Path, count: int) -> list[Row]:
    """Rows per second of both models, medians of five runs each."""
    values = prepare(count)
    measured, peak = through_sql(binary)
    name = f"score {count:,} rows"
    rows = [Row(name, "SQL: plain scan, sum() of the 30 columns", rate(count, measured["scan"][0]))]
    for model in ("gbdt", "logistic"):
        session = onnxruntime.InferenceSession(DATA / f"{model}.onnx", providers=["CPUExecutionProvider"])
        scores = session.run(["probabilities"], {"features": values})[0]
        call = median(lambda: session.run(None, {"features": values}))
        ours, (row_count, mean) = measured[model]
        expected = float(scores[:, 1].astype(np.float64).mean())
        if row_count != count or abs(mean - expected) > TOLERANCE:
            raise SystemExit(f"{model}: SQL answers {row_count} rows, mean {mean}; onnxruntime {count}, {expected}")
        rows.append(Row(name, f"SQL: ai_query, {model}", rate(count, ours)))
        rows.append(Row(name, f"onnxruntime in Python, one call, {model}", rate(count, call), f"{call / ours:.2f}"))
        share = ours / (measured["scan"][0] + call)
        goal = "<= 1.25 of the time" if model == "gbdt" else ""
        rows.append(
            Row(name, f"scan + call, {model}", f"{measured['scan'][0] + call:.3f} s", f"{share:.2f} of the time", goal)
        )
    return [*rows, memory(peak, name, goal="< 1,536 MiB")]


def rate(count: int, elapsed: float) -> str:
    """A duration as it is reported."""
    return f"{elapsed:.3f} s, {count / elapsed / 1e6:.2f} M rows/s"


def median(action: object) -> float:
    """Median wall time over the repeats."""
    return statistics.median(seconds(action) for _ in range(REPEATS))


def through_sql(binary: Path) -> tuple[dict[str, tuple[float, tuple]], float | None]:
    """For each measured statement its median time and its answer; and the server's peak memory in MiB."""
    preparing, measured = bench_sql("tabular")
    with tempfile.TemporaryDirectory() as folder, Server(binary, Path(folder)) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            for statement in preparing:
                connection.execute(statement)
            found = {}
            for name, statement in measured.items():
                answer = connection.execute(statement).fetchone()
                found[name] = median(lambda: connection.execute(statement).fetchone()), answer
        return found, server.peak_memory_mb()


def prepare(count: int) -> np.ndarray:
    """The values, float32 [count, 30]; writes them as Parquet and trains the models where they are missing."""
    DATA.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(SEED)
    values = random.standard_normal((count, len(COLUMNS)), np.float32)
    path = DATA / "features.parquet"
    if not path.exists() or pq.read_metadata(path).num_rows != count:
        columns = [pa.array(column) for column in np.ascontiguousarray(values.T)]
        pq.write_table(pa.table(columns, names=COLUMNS), path, row_group_size=ROWS_PER_WRITE)
    train(values[:TRAINING_ROWS], random)
    return values


def train(values: np.ndarray, random: np.random.Generator) -> None:
    """Two classifiers of the same target: a boosted one of 100 trees and a linear one."""
    target = values[:, 0] * values[:, 1] + np.sin(values[:, 2] * 3) + values[:, 3:].sum(axis=1) / 5
    labels = (target + random.standard_normal(len(target)) * 0.3 > 0).astype(np.int64)
    models = {
        "gbdt": GradientBoostingClassifier(n_estimators=TREES, random_state=SEED),
        "logistic": LogisticRegression(random_state=SEED),
    }
    for name, model in models.items():
        path = DATA / f"{name}.onnx"
        if path.exists():
            continue
        model.fit(values, labels)
        inputs = [("features", FloatTensorType([None, len(COLUMNS)]))]
        options = {type(model): {"zipmap": False}}
        graph = to_onnx(model, initial_types=inputs, options=options, target_opset={"": 20, "ai.onnx.ml": 3})
        onnx.helper.set_model_props(graph, {"feature_names": ",".join(COLUMNS)})
        path.write_bytes(graph.SerializeToString())
