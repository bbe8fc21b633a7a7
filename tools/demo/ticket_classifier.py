"""Assembles the demo's sequence classifier: the MiniLM encoder, mean pooling, normalisation and a linear head.

The result is a folder as Hugging Face's `AutoModelForSequenceClassification` exports look: config.json with id2label,
tokenizer.json, tokenizer_config.json, and model.onnx whose output `logits` is float32 [batch, labels].
The head is what `tools.demo.train_ticket_classifier` has trained: tests/data/demo/ticket_head.json.

    python -m tools.demo.ticket_classifier ENCODER_FOLDER HEAD_JSON OUTPUT_FOLDER
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tools.convert_minilm import Graph, save

COPIED = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]


def add_head(graph: Graph, hidden: str, weights: np.ndarray, bias: np.ndarray) -> None:
    """Mean pooling over the tokens that count, L2 normalisation, then `weights @ vector + bias`.

    A row's logits must be the same bits in every batch, so every sum has an order that neither padding nor the number
    of rows can change: tokens are added one after the other by a running sum whose last row is the total (the runtime's
    reductions over the middle axis and its products with a single row group their terms by length), and the head is a
    sum of products over the last axis.
    """
    mask = graph.node("Cast", ["attention_mask"], "pooling.mask.flat", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, graph.constant("last_axis", np.array([2]))], "pooling.mask")
    tokens, hidden_axis = graph.constant("token_axis", np.array(1)), graph.constant("hidden_axis", np.array([-1]))
    counted = graph.node("Mul", [hidden, mask], "pooling.counted")
    running = graph.node("CumSum", [counted, tokens], "pooling.running")
    limits = {"last": -1, "end": np.iinfo(np.int64).max, "axis": 1}
    bounds = [graph.constant(f"pooling.{name}", np.array([value])) for name, value in limits.items()]
    total = graph.node("Slice", [running, *bounds], "pooling.sum")
    count = graph.node("ReduceSum", [mask, bounds[2]], "pooling.count", keepdims=1)
    mean = graph.node("Div", [total, count], "pooling.mean")
    length = graph.node("ReduceL2", [mean, hidden_axis], "pooling.length", keepdims=1)
    vector = graph.node("Div", [mean, length], "pooling.vector")
    products = graph.node("Mul", [vector, graph.constant("classifier.weight", weights[None])], "classifier.products")
    scores = graph.node("ReduceSum", [products, hidden_axis], "classifier.scores", keepdims=0)
    graph.node("Add", [scores, graph.constant("classifier.bias", bias)], "logits")


def assemble(encoder: Path, head_path: Path, output: Path) -> None:
    """Writes the whole folder."""
    head = json.loads(head_path.read_text())
    graph = Graph()
    model = onnx.load(encoder / "model.onnx")
    graph.nodes = [node for node in model.graph.node if node.name != "last_hidden_state"]
    graph.initializers = list(model.graph.initializer)
    (final,) = (node.input[0] for node in model.graph.node if node.name == "last_hidden_state")
    labels = head["labels"]
    add_head(graph, final, np.array(head["weights"], np.float32), np.array(head["bias"], np.float32))
    output.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(encoder / name, output / name)
    config = json.loads((encoder / "config.json").read_text())
    config |= {
        "_name_or_path": "ticket-classifier",
        "architectures": ["BertForSequenceClassification"],
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": "single_label_classification",
    }
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(labels)])
    save(graph, [logits], output / "model.onnx")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    assemble(arguments.encoder, arguments.head, arguments.output)
