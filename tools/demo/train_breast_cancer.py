"""Trains the demo's tabular classifier and writes its data, model and reference scores to tests/data/demo.

Data: Breast Cancer Wisconsin (Diagnostic) as scikit-learn ships it, 569 rows of 30 measurements. Half of the rows,
drawn by class with a fixed seed, are held out. The model standardises and then applies logistic regression; its ONNX
form takes `features`, float32 [rows, 30], whose column names stand in the metadata property `feature_names`, and
returns `label` (string [rows]) and `probabilities` (float32 [rows, 2], benign then malignant).

    make setup && .setup/venv/bin/python -m pip install --no-deps -r tools/requirements-train.txt
    .setup/venv/bin/python -m tools.demo.train_breast_cancer
"""

import csv
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DATA = Path(__file__).resolve().parent.parent.parent / "tests" / "data" / "demo"
SEED = 20261120
OPSET = {"": 20, "ai.onnx.ml": 3}


def write_csv(name: str, header: list[str], rows: list[list[object]]) -> None:
    """Writes one table beside the others."""
    with (DATA / name).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def export(model: object, names: list[str]) -> bytes:
    """The fitted pipeline as ONNX, with plain tensors for its outputs and with its column names inside."""
    options = {LogisticRegression: {"zipmap": False}}
    inputs = [("features", FloatTensorType([None, len(names)]))]
    graph = to_onnx(model, initial_types=inputs, options=options, target_opset=OPSET)
    versions = {entry.domain: entry.version for entry in graph.opset_import}  # the converter repeats a domain
    del graph.opset_import[:]
    graph.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in versions.items())
    onnx.helper.set_model_props(graph, {"feature_names": ",".join(names)})
    return graph.SerializeToString()


def main() -> None:
    """Trains, exports, and reports the accuracy on the held-out half."""
    bunch = load_breast_cancer()
    names = [name.replace(" ", "_") for name in bunch.feature_names]
    labels = bunch.target_names[bunch.target]
    train, _ = train_test_split(np.arange(len(labels)), test_size=0.5, random_state=SEED, stratify=labels)
    split = np.full(len(labels), "holdout")
    split[train] = "train"
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(bunch.data[train], labels[train])

    contents = export(model, names)
    (DATA / "breast_cancer.onnx").write_bytes(contents)
    rows = [
        [number, *values, label, part]
        for number, (values, label, part) in enumerate(zip(bunch.data.tolist(), labels, split), 1)
    ]
    write_csv("breast_cancer.csv", ["id", *names, "diagnosis", "split"], rows)

    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    predicted, scores = session.run(outputs, {"features": bunch.data.astype(np.float32)})
    scored = [[number, label, *score] for number, (label, score) in enumerate(zip(predicted, scores.tolist()), 1)]
    write_csv("breast_cancer_scores.csv", ["id", "label", *model.classes_], scored)
    held_out = split == "holdout"
    accuracy = np.mean(predicted[held_out] == labels[held_out])
    print(f"outputs {outputs}, accuracy {accuracy:.4f} on {held_out.sum()} held-out rows, {len(contents)} bytes")


if __name__ == "__main__":
    main()
