"""Turns a MiniLM (BERT) checkpoint in safetensors into a sentence-transformers folder with an ONNX graph.

No torch is needed: the graph is written node by node with the `onnx` package and holds the checkpoint's own
fp32 weights.

Inputs   input_ids, attention_mask, token_type_ids: int64 [batch, sequence], sequence at most 512
Output   last_hidden_state: float32 [batch, sequence, hidden]

The architecture is that of Devlin et al., "BERT" (2018), as transformers' `BertModel` computes it: post layer
normalisation, exact (erf) GELU, absolute positions.

    python -m tools.convert_minilm CHECKPOINT_FOLDER OUTPUT_FOLDER
"""

import argparse
import json
import math
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.safetensors_file import read_safetensors

OPSET = 20
IR_VERSION = 10
MASKED = float(np.finfo(np.float32).min)
COMPANIONS = [
    "README.md",
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
]


class Graph:
    """Collects nodes and initializers; every method returns the name of the value it makes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        """Adds an initializer and returns its name."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Adds a node of one output and returns the output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def linear(self, value: str, name: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """`value @ weight.T + bias`, weight as the checkpoint stores it: [out, in]."""
        product = self.node("MatMul", [value, self.constant(f"{name}.weight", weight.T)], f"{name}.product")
        return self.node("Add", [product, self.constant(f"{name}.bias", bias)], name)

    def layer_norm(self, value: str, name: str, weight: np.ndarray, bias: np.ndarray, epsilon: float) -> str:
        """Layer normalisation over the last axis."""
        scale, shift = self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)
        return self.node("LayerNormalization", [value, scale, shift], name, axis=-1, epsilon=epsilon)


def embeddings(graph: Graph, weights: dict[str, np.ndarray], epsilon: float) -> str:
    """Word, token type and position embeddings, summed and normalised."""
    tables = {
        key: graph.constant(f"embeddings.{key}", weights[f"embeddings.{key}_embeddings.weight"])
        for key in ("word", "token_type", "position")
    }
    words = graph.node("Gather", [tables["word"], "input_ids"], "embeddings.words")
    types = graph.node("Gather", [tables["token_type"], "token_type_ids"], "embeddings.types")
    # The table of positions is sliced by a 1-D length. Gathering it by a Range from scalar bounds is rewritten by
    # the runtime's extended optimisations into a Slice with scalar bounds, which then fails.
    length = graph.node("Shape", ["input_ids"], "sequence_length", start=1, end=2)
    zero, axis = graph.constant("zero", np.array([0])), graph.constant("axis", np.array([0]))
    positions = graph.node("Slice", [tables["position"], zero, length, axis], "embeddings.positions")
    total = graph.node("Add", [words, types], "embeddings.words_and_types")
    total = graph.node("Add", [total, positions], "embeddings.sum")
    prefix = "embeddings.LayerNorm"
    return graph.layer_norm(total, prefix, weights[f"{prefix}.weight"], weights[f"{prefix}.bias"], epsilon)


def mask_bias(graph: Graph) -> str:
    """[batch, 1, 1, sequence]: 0 where a token counts, the smallest float32 where it is padding."""
    mask = graph.node("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    padding = graph.node("Sub", [graph.constant("one", np.array(1, np.float32)), mask], "mask.padding")
    bias = graph.node("Mul", [padding, graph.constant("masked", np.array(MASKED, np.float32))], "mask.flat")
    return graph.node("Unsqueeze", [bias, graph.constant("mask.axes", np.array([1, 2]))], "mask.bias")


def attention(graph: Graph, hidden: str, mask: str, prefix: str, weights: dict[str, np.ndarray], heads: int) -> str:
    """Multi-head self-attention up to its output projection; [batch, sequence, hidden]."""
    size = weights[f"{prefix}.query.weight"].shape[0] // heads
    scale = np.float32(1.0 / math.sqrt(size))
    parts = {}
    for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        weight, bias = weights[f"{prefix}.{part}.weight"], weights[f"{prefix}.{part}.bias"]
        if part == "query":  # the softmax's scale costs nothing inside the weights
            weight, bias = weight * scale, bias * scale
        flat = graph.linear(hidden, f"{prefix}.{part}", weight, bias)
        split = graph.node("Reshape", [flat, "heads.split"], f"{prefix}.{part}.split")
        parts[part] = graph.node("Transpose", [split], f"{prefix}.{part}.heads", perm=order)
    scores = graph.node("MatMul", [parts["query"], parts["key"]], f"{prefix}.scores")
    scores = graph.node("Add", [scores, mask], f"{prefix}.scores.masked")
    shares = graph.node("Softmax", [scores], f"{prefix}.shares", axis=-1)
    context = graph.node("MatMul", [shares, parts["value"]], f"{prefix}.context")
    context = graph.node("Transpose", [context], f"{prefix}.context.rows", perm=[0, 2, 1, 3])
    return graph.node("Reshape", [context, "heads.join"], f"{prefix}.context.flat")


def encoder_layer(
    graph: Graph, hidden: str, mask: str, index: int, weights: dict[str, np.ndarray], config: dict
) -> str:
    """One transformer layer."""
    prefix, epsilon = f"encoder.layer.{index}", config["layer_norm_eps"]

    def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
        return weights[f"{prefix}.{name}.weight"], weights[f"{prefix}.{name}.bias"]

    context = attention(graph, hidden, mask, f"{prefix}.attention.self", weights, config["num_attention_heads"])
    projected = graph.linear(context, f"{prefix}.attention.output", *pair("attention.output.dense"))
    residual = graph.node("Add", [projected, hidden], f"{prefix}.attention.residual")
    attended = graph.layer_norm(residual, f"{prefix}.attention.norm", *pair("attention.output.LayerNorm"), epsilon)
    wide = graph.linear(attended, f"{prefix}.intermediate", *pair("intermediate.dense"))
    wide = graph.node("Gelu", [wide], f"{prefix}.gelu", approximate="none")
    narrow = graph.linear(wide, f"{prefix}.output", *pair("output.dense"))
    residual = graph.node("Add", [narrow, attended], f"{prefix}.residual")
    return graph.layer_norm(residual, f"{prefix}.norm", *pair("output.LayerNorm"), epsilon)


def encoder_graph(weights: dict[str, np.ndarray], config: dict) -> tuple[Graph, str]:
    """The whole encoder; returns the graph under construction and the name of its last hidden state."""
    supported = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in supported.items():
        if config.get(key, value) != value:
            raise SystemExit(f"cannot convert a checkpoint whose {key} is {config[key]!r}: only {value!r} is known")
    graph, heads = Graph(), config["num_attention_heads"]
    graph.constant("heads.split", np.array([0, 0, heads, config["hidden_size"] // heads]))
    graph.constant("heads.join", np.array([0, 0, config["hidden_size"]]))
    hidden = embeddings(graph, weights, config["layer_norm_eps"])
    mask = mask_bias(graph)
    for index in range(config["num_hidden_layers"]):
        hidden = encoder_layer(graph, hidden, mask, index, weights, config)
    return graph, hidden


def save(graph: Graph, outputs: list[onnx.ValueInfoProto], path: Path) -> None:
    """Checks the graph and writes it with the three token inputs of an encoder."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    proto = helper.make_graph(graph.nodes, "encoder", inputs, outputs, graph.initializers)
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="alluvia"
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def convert(checkpoint: Path, output: Path) -> None:
    """Writes `output/model.onnx` and copies the files a sentence-transformers folder needs beside it."""
    config = json.loads((checkpoint / "config.json").read_text())
    graph, hidden = encoder_graph(read_safetensors(checkpoint / "model.safetensors"), config)
    graph.node("Identity", [hidden], "last_hidden_state")
    for name in COMPANIONS:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkpoint / name, output / name)
    (output / "2_Normalize").mkdir(exist_ok=True)
    shape = ["batch", "sequence", config["hidden_size"]]
    save(graph, [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, shape)], output / "model.onnx")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    convert(arguments.checkpoint, arguments.output)
