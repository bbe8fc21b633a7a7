"""Writes small ONNX graphs whose answers can be told by arithmetic, and the ticket classifier's reference answers.

    python make_models.py TICKET_CLASSIFIER_FOLDER      # needs numpy, onnx, onnxruntime, tokenizers

The graphs, with floats in single precision:

| file | inputs | outputs |
|---|---|---|
| `linear.onnx` | `a`, `b` FLOAT [N, 1] | `y` FLOAT = 2 * a + 3 * b + 1 |
| `affine.onnx` | `x` FLOAT [N] | `y` FLOAT = 3 * x - 5 |
| `positive.onnx` | `x` FLOAT [N] | `y` BOOL = x > 0 |
| `parts.onnx` | `a`, `b` FLOAT [N, 1] | `sum` FLOAT = a + b, `above` BOOL = a > b, `rank` BIGINT = a as an integer |
| `shout.onnx` | `word` STRING [N] | `loud` STRING = word + "!" |
| `table.onnx` | `index` BIGINT [N] | `found` FLOAT = 1.5 * index; fails unless index is -10 to 9, which count from the end below 0 |
| `parse.onnx` | `word` STRING [N] | `number` FLOAT; fails on a word that is no number |
| `halves.onnx` | `x` FLOAT16 [N, 1] | `y` FLOAT16 = x / 2 |
| `list.onnx` | `x` FLOAT [N, 3] | `doubled` FLOAT [N, 3] = 2 * x |
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
TICKETS = HERE.parent / "demo" / "tickets.csv"
FLOAT, FLOAT16, BOOL, INT64, STRING = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.INT64, TensorProto.STRING,
)  # fmt: skip


def graph(name: str, nodes: list, inputs: dict, outputs: dict, constants: dict[str, np.ndarray]) -> None:
    """Checks and writes one graph. Inputs and outputs: element type and shape by name."""
    values = [
        [helper.make_tensor_value_info(port, kind, shape) for port, (kind, shape) in ports.items()]
        for ports in (inputs, outputs)
    ]
    initializers = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    body = helper.make_graph([helper.make_node(*node[:3], **(node[3] if node[3:] else {})) for node in nodes], name,
                             *values, initializers)  # fmt: skip
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save_model(model, HERE / f"{name}.onnx")


def graphs() -> None:
    """Every graph of the table above."""
    column, flat = ["N", 1], ["N"]
    number = lambda value: np.array([value], np.float32)  # noqa: E731
    graph("linear", [("Mul", ["a", "two"], ["twice"]), ("Mul", ["b", "three"], ["thrice"]),
                     ("Add", ["twice", "thrice"], ["both"]), ("Add", ["both", "one"], ["y"])],
          {"a": (FLOAT, column), "b": (FLOAT, column)}, {"y": (FLOAT, column)},
          {"one": number(1), "two": number(2), "three": number(3)})  # fmt: skip
    graph("affine", [("Mul", ["x", "three"], ["thrice"]), ("Sub", ["thrice", "five"], ["y"])],
          {"x": (FLOAT, flat)}, {"y": (FLOAT, flat)}, {"three": number(3), "five": number(5)})  # fmt: skip
    graph("positive", [("Greater", ["x", "zero"], ["y"])], {"x": (FLOAT, flat)}, {"y": (BOOL, flat)},
          {"zero": number(0)})  # fmt: skip
    graph("parts", [("Add", ["a", "b"], ["sum"]), ("Greater", ["a", "b"], ["above"]),
                    ("Cast", ["a"], ["rank"], {"to": INT64})],
          {"a": (FLOAT, column), "b": (FLOAT, column)},
          {"sum": (FLOAT, column), "above": (BOOL, column), "rank": (INT64, column)}, {})  # fmt: skip
    graph("shout", [("StringConcat", ["word", "mark"], ["loud"])], {"word": (STRING, flat)}, {"loud": (STRING, flat)},
          {"mark": np.array(["!"], object)})  # fmt: skip
    graph("table", [("Gather", ["table", "index"], ["found"])], {"index": (INT64, flat)}, {"found": (FLOAT, flat)},
          {"table": np.arange(10, dtype=np.float32) * 1.5})  # fmt: skip
    graph("parse", [("Cast", ["word"], ["number"], {"to": FLOAT})], {"word": (STRING, flat)}, {"number": (FLOAT, flat)},
          {})  # fmt: skip
    graph("halves", [("Mul", ["x", "half"], ["y"])], {"x": (FLOAT16, column)}, {"y": (FLOAT16, column)},
          {"half": np.array([0.5], np.float16)})  # fmt: skip
    graph("list", [("Add", ["x", "x"], ["doubled"])], {"x": (FLOAT, ["N", 3])}, {"doubled": (FLOAT, ["N", 3])}, {})


def ticket_scores(folder: Path) -> None:
    """Label and probability of every ticket, one text a run, as a plain client of onnxruntime would get them."""
    config = json.loads((folder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(config["max_position_embeddings"])
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    names = [port.name for port in session.get_inputs()]
    with TICKETS.open(newline="") as source, (HERE / "ticket_scores.csv").open("w", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["id", "label", "score"])
        for row in csv.DictReader(source):
            encoding = tokenizer.encode(row["text"])
            fed = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask,
                   "token_type_ids": encoding.type_ids}  # fmt: skip
            (logits,) = session.run(["logits"], {name: np.array([fed[name]], np.int64) for name in names})
            logits = logits[0].astype(np.float64)
            scores = np.exp(logits - logits.max())
            scores /= scores.sum()
            best = int(scores.argmax())
            writer.writerow([row["id"], config["id2label"][str(best)], repr(float(scores[best]))])


if __name__ == "__main__":
    graphs()
    ticket_scores(Path(sys.argv[1]))
