"""Guards the dependency tree: fails on a declared dependency that nobody uses, and on duplicates of the big crates.

Unused: a crate declared in a member's Cargo.toml that none of the member's sources names, or a line of
[workspace.dependencies] that no member takes. Duplicates: two versions of a crate whose types cross our boundaries.

    python -m tools.check_dependencies
"""

import re
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SINGLE = re.compile(
    r"arrow(-.+)?|datafusion(-.+)?|parquet|object_store|sqlparser|deltalake(-.+)?|delta_kernel|tokio|ort"
)
SECTIONS = ("dependencies", "dev-dependencies", "build-dependencies")
COMMENT = re.compile(r"//[^\n]*")


def declared(manifest: dict) -> Iterator[tuple[str, str]]:
    """(section, dependency) pairs of a member, those for single targets included."""
    for tables in (manifest, *manifest.get("target", {}).values()):
        for section in SECTIONS:
            yield from ((section, name) for name in tables.get(section, {}))


def sources(member: Path, section: str) -> str:
    """The Rust text in which a dependency of this section could be named, without comments."""
    paths = [member / "build.rs"] if section == "build-dependencies" else sorted(member.rglob("*.rs"))
    return COMMENT.sub("", "\n".join(path.read_text() for path in paths))


def unused(manifest_of: dict[Path, dict]) -> list[str]:
    """A complaint for each dependency that is declared for nothing."""
    complaints, taken = [], set()
    for member, manifest in manifest_of.items():
        # a feature of the form "crate/feature" or "dep:crate" uses the crate as well
        features = " ".join(word for words in manifest.get("features", {}).values() for word in words)
        for section, name in declared(manifest):
            taken.add(name)
            word = re.compile(rf"\b{name.replace('-', '_')}\b")
            if not word.search(sources(member, section)) and f"{name}/" not in features:
                complaints.append(
                    f"{member.relative_to(ROOT)}/Cargo.toml: {name} is declared in [{section}] but never named"
                )
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    complaints += [
        f"Cargo.toml: {name} stands in [workspace.dependencies] but no member takes it"
        for name in workspace["dependencies"]
        if name not in taken
    ]
    return complaints


def duplicates() -> list[str]:
    """A complaint for each big crate of which Cargo.lock holds several versions."""
    versions = defaultdict(set)
    for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]:
        if SINGLE.fullmatch(package["name"]):
            versions[package["name"]].add(package["version"])
    return [
        f"Cargo.lock: {name} resolves to {', '.join(sorted(found))}"
        for name, found in versions.items()
        if len(found) > 1
    ]


def main() -> None:
    """Exits with the list of complaints, if there are any."""
    locked = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--no-deps"], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    complaints = [] if locked.returncode == 0 else ["Cargo.lock does not fit the manifests"]
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    manifest_of = {ROOT / name: tomllib.loads((ROOT / name / "Cargo.toml").read_text()) for name in members}
    complaints += unused(manifest_of) + duplicates()
    if complaints:
        raise SystemExit("dependencies:\n  " + "\n  ".join(complaints))
    print("dependencies: each one used, none of the big ones twice")


if __name__ == "__main__":
    main()
