"""Writes the small ONNX graphs that the inference tests run, and the results that ONNX Runtime has for them in Python.

Run: python make_graphs.py   (needs onnx, onnxruntime, scikit-learn, skl2onnx)

Every graph has fixed seeds; `expected.json` holds inputs and reference outputs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent
OPSET = 17


def graph(name: str, nodes: list, inputs: list, outputs: list, weights: dict[str, np.ndarray] | None = None,
          properties: dict[str, str] | None = None, external: str | None = None, check: bool = True) -> None:
    """Checks and writes one graph. `external` names the file its weights go to."""
    initializers = [numpy_helper.from_array(value, key) for key, value in (weights or {}).items()]
    body = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    for key, value in (properties or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path = HERE / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    if external:
        onnx.save_model(model, path, save_as_external_data=True, location=external, size_threshold=0)
    else:
        if check:
            onnx.checker.check_model(model)
        onnx.save_model(model, path)


def value(name: str, kind: int, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def plain_graphs() -> None:
    """Graphs whose results can be told by hand."""
    float_, double, int64, bool_, text = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL,
                                          TensorProto.STRING)
    # sum = a + b over two named columns, one [N, 1], one [N].
    graph("add", [helper.make_node("Squeeze", ["a", "axes"], ["flat"]), helper.make_node("Add", ["flat", "b"], ["sum"])],
          [value("a", float_, ["N", 1]), value("b", float_, ["N"])], [value("sum", float_, ["N"])],
          {"axes": np.array([1], np.int64)})
    # One input of each type, each echoed: the conversions in and out.
    kinds = {"f16": TensorProto.FLOAT16, "f32": float_, "f64": double, "i8": TensorProto.INT8, "i32": TensorProto.INT32,
             "i64": int64, "u8": TensorProto.UINT8, "flag": bool_, "word": text}
    graph("echo", [helper.make_node("Identity", [name], [f"{name}_out"]) for name in kinds],
          [value(name, kind, ["N", 1]) for name, kind in kinds.items()],
          [value(f"{name}_out", kind, ["N", 1]) for name, kind in kinds.items()])
    # A wide input with named columns; the result is twice as wide a list and a matrix a row.
    graph("wide", [helper.make_node("Mul", ["x", "two"], ["doubled"]),
                   helper.make_node("Reshape", ["x", "shape"], ["matrix"])],
          [value("x", float_, ["N", 4])], [value("doubled", float_, ["N", 4]), value("matrix", float_, ["N", 2, 2])],
          {"two": np.array([2], np.float32), "shape": np.array([-1, 2, 2], np.int64)},
          {"feature_names": "a,b,c,d"})
    # A width that the model leaves open.
    graph("open_width", [helper.make_node("ReduceSum", ["x", "axis"], ["total"], keepdims=0)],
          [value("x", float_, ["N", "K"])], [value("total", float_, ["N"])], {"axis": np.array([1], np.int64)})
    # A batch of exactly four rows.
    graph("fixed_batch", [helper.make_node("Neg", ["x"], ["negative"])],
          [value("x", float_, [4, 1])], [value("negative", float_, [4, 1])])
    # Fails on every batch that holds an index past the table: how a bad row shows itself only when it runs.
    graph("table", [helper.make_node("Gather", ["table", "index"], ["found"])],
          [value("index", int64, ["N"])], [value("found", float_, ["N"])],
          {"table": np.arange(10, dtype=np.float32) * 1.5})
    # An output without a declared shape.
    untyped = helper.make_tensor_value_info("y", float_, None)
    graph("unshaped", [helper.make_node("Abs", ["x"], ["y"])], [value("x", float_, ["N", 3])], [untyped],
          check=False)
    # A scalar output: no dimension for rows.
    graph("scalar_output", [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
          [value("x", float_, ["N", 1])], [value("y", float_, [])])
    # Weights beside the graph.
    graph("external/model", [helper.make_node("Add", ["x", "bias"], ["y"])], [value("x", float_, ["N", 1])],
          [value("y", float_, ["N", 1])], {"bias": np.array([[0.5]], np.float32)}, external="model.onnx_data")
    # A small multilayer perceptron: matrix products, whose kernels differ with the number of rows.
    random = np.random.default_rng(1)
    graph("perceptron",
          [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]), helper.make_node("Tanh", ["h"], ["t"]),
           helper.make_node("Gemm", ["t", "w2", "b2"], ["z"]), helper.make_node("Softmax", ["z"], ["p"])],
          [value("x", float_, ["N", 37])], [value("p", float_, ["N", 6])],
          {"w1": random.normal(size=(37, 65)).astype(np.float32), "b1": random.normal(size=65).astype(np.float32),
           "w2": random.normal(size=(65, 6)).astype(np.float32), "b2": random.normal(size=6).astype(np.float32)})
    # Slow: a chain of large products for each row, so that a cancel has something to interrupt.
    side = 96
    nodes, last = [helper.make_node("MatMul", ["x", "w"], ["m0"])], "m0"
    for step in range(1, 40):
        nodes += [helper.make_node("MatMul", [last, "w"], [f"p{step}"]), helper.make_node("Tanh", [f"p{step}"], [f"m{step}"])]
        last = f"m{step}"
    nodes.append(helper.make_node("ReduceSum", [last, "axis"], ["y"], keepdims=0))
    graph("slow", nodes, [value("x", float_, ["N", side])], [value("y", float_, ["N"])],
          {"w": (random.normal(size=(side, side)) / 10).astype(np.float32), "axis": np.array([1], np.int64)})


def classifiers(expected: dict) -> None:
    """scikit-learn's classifiers, with and without ZipMap."""
    features, labels = make_classification(400, 6, n_informative=4, n_classes=3, random_state=3)
    features = features.astype(np.float32)
    words = np.array(["red", "green", "blue"])[labels]
    inputs = [("features", FloatTensorType([None, 6]))]
    boosted = GradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=0).fit(features, words)
    model = convert_sklearn(boosted, initial_types=inputs, options={"zipmap": False}, target_opset=OPSET)
    onnx.save_model(model, HERE / "boosted.onnx")
    linear = LogisticRegression(max_iter=500).fit(features, labels)
    for name, target, estimator in (("zipmap_text", words, None), ("zipmap_number", labels, linear)):
        estimator = estimator or LogisticRegression(max_iter=500).fit(features, target)
        onnx.save_model(convert_sklearn(estimator, initial_types=inputs, target_opset=OPSET), HERE / f"{name}.onnx")
    session = onnxruntime.InferenceSession(HERE / "boosted.onnx")
    label, scores = session.run(None, {"features": features[:8]})
    maps = onnxruntime.InferenceSession(HERE / "zipmap_text.onnx").run(None, {"features": features[:8]})
    expected["boosted"] = {"features": features[:8].tolist(), "label": label.tolist(), "probabilities": scores.tolist()}
    expected["zipmap_text"] = {"label": maps[0].tolist(),
                               "maps": [{key: float(score) for key, score in row.items()} for row in maps[1]]}


def text_models() -> None:
    """A tiny classifier folder and two that don't fit: token vectors of a table, averaged, times a matrix."""
    random = np.random.default_rng(5)
    words = ["[PAD]", "[UNK]", "good", "bad", "very", "film", "not", "a", "was", "the"]
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: index for index, word in enumerate(words)}, "unk_token": "[UNK]"},
    }
    shape = ["N", "L"]
    int64, float_ = TensorProto.INT64, TensorProto.FLOAT
    for folder, rows, logits, labels in (
        ("tiny-classifier", len(words), True, {"0": "negative", "1": "neutral", "2": "positive"}),
        ("tiny-mismatch", 5, True, {"0": "negative", "1": "neutral", "2": "positive"}),
        ("tiny-encoder", len(words), False, None),
    ):
        nodes = [
            helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=float_),
            helper.make_node("Unsqueeze", ["mask", "last"], ["weights"]),
            helper.make_node("Mul", ["vectors", "weights"], ["last_hidden_state"]),
        ]
        outputs = [value("last_hidden_state", float_, ["N", "L", 16])]
        if logits:
            nodes += [
                helper.make_node("ReduceSum", ["last_hidden_state", "middle"], ["sum"], keepdims=0),
                helper.make_node("MatMul", ["sum", "head"], ["logits"]),
            ]
            outputs = [value("logits", float_, ["N", 3])]
        (HERE / folder).mkdir(exist_ok=True)
        weights = {"table": random.normal(size=(rows, 16)).astype(np.float32), "last": np.array([2], np.int64)}
        if logits:
            weights |= {"middle": np.array([1], np.int64), "head": random.normal(size=(16, 3)).astype(np.float32)}
        graph(f"{folder}/model", nodes, [value("input_ids", int64, shape), value("attention_mask", int64, shape)],
              outputs, weights)
        (HERE / folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        config = {"model_type": "bert", "max_position_embeddings": 12, "pad_token_id": 0, "vocab_size": rows}
        if labels:
            config["id2label"] = labels
        (HERE / folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    for folder in ("tiny-classifier", "tiny-mismatch", "tiny-encoder", "external"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    expected: dict = {}
    plain_graphs()
    classifiers(expected)
    text_models()
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
