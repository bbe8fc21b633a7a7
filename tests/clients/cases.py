"""What the Python drivers share: the cases of cases.json, and the comparison of an answer with what is expected."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

TOLERANCE = 1e-6


def cases() -> Iterator[tuple[str, list, list]]:
    """SQL text with $n parameters, the parameters, and the rows that must come back."""
    for case in json.loads((Path(__file__).parent / "cases.json").read_text()):
        yield case["sql"], case["parameters"], case["rows"]


def same(found: object, expected: object) -> bool:
    """Equality, for floats within the tolerance; sequences element by element."""
    if isinstance(expected, list):
        fits = isinstance(found, (list, tuple)) and len(found) == len(expected)
        return fits and all(map(same, found, expected))
    if isinstance(expected, float) and not isinstance(found, (str, bool, type(None))):
        return math.isclose(float(found), expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(found) is type(expected) and found == expected


def check(way: str, sql: str, found: list, expected: list) -> None:
    """Ends the program with both sides when they differ."""
    if not same(found, expected):
        raise SystemExit(f"{way}: {sql}\n  expected {expected}\n  found    {found}")
