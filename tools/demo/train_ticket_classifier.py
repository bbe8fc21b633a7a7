"""Trains the head of the demo's ticket classifier and writes tests/data/demo/ticket_head.json.

The sentences of tests/data/demo/tickets.csv are ours; a quarter of them is held out. Features are the MiniLM vectors
of the `train` rows, the head is multinomial logistic regression.

    make setup && .setup/venv/bin/python -m pip install --no-deps -r tools/requirements-train.txt
    .setup/venv/bin/python -m tools.demo.train_ticket_classifier
"""

import csv
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from tools.encoder import Encoder

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "tests" / "data" / "demo"
REGULARISATION = 10.0
DIGITS = 6


def main() -> None:
    """Trains, reports the accuracy on both parts, and writes the head."""
    with (DATA / "tickets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    encoder = Encoder(ROOT / ".setup" / "models" / "all-MiniLM-L6-v2")
    tokens = encoder.tokenize([row["text"] for row in rows])
    vectors = encoder.vectors(tokens, encoder.by_length(tokens))
    labels = np.array([row["label"] for row in rows])
    train = np.array([row["split"] == "train" for row in rows])
    model = LogisticRegression(C=REGULARISATION, max_iter=1000, random_state=0).fit(vectors[train], labels[train])
    for name, part in (("train", train), ("holdout", ~train)):
        print(f"{name}: accuracy {model.score(vectors[part], labels[part]):.3f} on {part.sum()} sentences")
    bias, weights = (np.round(part.astype(np.float64), DIGITS).tolist() for part in (model.intercept_, model.coef_))
    rows_text = ",\n".join(map(json.dumps, weights))
    labels_and_bias = f'"labels": {json.dumps(model.classes_.tolist())},\n"bias": {json.dumps(bias)}'
    (DATA / "ticket_head.json").write_text(f'{{{labels_and_bias},\n"weights": [\n{rows_text}\n]}}\n')


if __name__ == "__main__":
    main()
