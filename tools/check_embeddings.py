"""Checks a converted embedding model against the stored vectors of sentence-transformers.

Runs every text of tests/data/embeddings through onnxruntime alone and again in padded batches: the vectors must
stay within 1e-5 of the reference in every component, and be the same bits whatever the batch and the padding.

    python -m tools.check_embeddings MODEL_FOLDER
"""

import argparse
import json
from pathlib import Path

import numpy as np

from tools.encoder import Encoder

REFERENCE = Path(__file__).resolve().parent.parent / "tests" / "data" / "embeddings"
TOLERANCE = 1e-5


def main() -> None:
    """Exits with a message when a vector is off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    encoder = Encoder(parser.parse_args().folder)
    texts = json.loads((REFERENCE / "texts.json").read_text())
    expected = np.fromfile(REFERENCE / "vectors.f32", "<f4").reshape(len(texts), -1)
    tokens = encoder.tokenize(texts)
    vectors = encoder.vectors(tokens, encoder.by_length(tokens))
    worst = float(np.abs(vectors - expected).max())
    if not worst <= TOLERANCE:
        raise SystemExit(f"the converted model is off its reference by {worst:.2e} (allowed {TOLERANCE:.0e})")
    shuffled = np.random.default_rng(0).permutation(len(texts))[:96].tolist()
    again = encoder.vectors(tokens, [shuffled[start : start + 16] for start in range(0, 96, 16)])
    if not np.array_equal(vectors[shuffled], again[shuffled]):
        raise SystemExit("the converted model's vectors depend on the batch they are computed in")
    print(f"{len(texts)} vectors within {worst:.1e} of sentence-transformers, the same bits in every batch")


if __name__ == "__main__":
    main()
