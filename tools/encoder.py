"""A sentence-transformers folder run by onnxruntime: the plain reference for what the engine does in SQL."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

TOKENS_PER_BATCH = 2048
TOKENS_PER_TEXT = 256


class Encoder:
    """Tokenizer and session of one model folder: mean pooling over tokens, then L2 normalisation."""

    def __init__(self, folder: Path, threads: int = os.cpu_count() or 1) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS_PER_TEXT)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(folder / "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, truncated, without padding."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]

    @staticmethod
    def by_length(tokens: list[list[int]], budget: int = TOKENS_PER_BATCH) -> list[list[int]]:
        """Row numbers sorted by token count and cut into batches of at most `budget` padded tokens."""
        batches: list[list[int]] = [[]]
        for row in sorted(range(len(tokens)), key=lambda row: len(tokens[row])):
            if batches[-1] and (len(batches[-1]) + 1) * len(tokens[row]) > budget:
                batches.append([])
            batches[-1].append(row)
        return batches

    def vectors(self, tokens: list[list[int]], batches: list[list[int]]) -> np.ndarray:
        """Unit vectors in row order, [rows, hidden]; rows that no batch names stay NaN."""
        result = np.full((len(tokens), self.session.get_outputs()[0].shape[2]), np.nan, np.float32)
        for rows in batches:
            result[rows] = self.encode([tokens[row] for row in rows])
        return result

    def encode(self, batch: list[list[int]]) -> np.ndarray:
        """One run of the model over one padded batch; [rows, hidden]."""
        longest = max(map(len, batch))
        ids, mask = np.zeros((2, len(batch), longest), np.int64)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self.session.run(None, feed)[0]
        weights = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
