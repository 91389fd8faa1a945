"""Names are the field's: no private words, no two that can be taken for each other."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src/cpengine"
PYTHON = sorted(
    path
    for folder in ("src", "tests", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
JAVASCRIPT = sorted(SRC.rglob("*.js"))
PRIVATE = {
    *("told", "said", "look", "looks", "looked", "looking", "kept", "seat", "seats"),
    *("here", "book", "books", "bury", "buried"),
}
"""Words for which the field has terms: a ledger, a lease, to check, to poll."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_NOT_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|"[^"\n]*"|'[^'\n]*'|`[^`]*`""", re.DOTALL)


def private(name: str) -> bool:
    """Whether a name has one of the private words as a part, or is just `one`."""
    if name.strip("_") in ("one", "ones"):
        return True
    words = {word.lower() for word in _WORD.findall(name.replace("look_up", ""))}
    return bool(words & PRIVATE)


def names(path: Path) -> Iterator[tuple[int, str]]:
    """The names that a Python file gives to something, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str()):
                yield node.lineno, node.asname or ""


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("_told", True), ("HereWeAre", True), ("is_kept", True), ("ones", True)),
        *(
            ("there", False),
            ("overlook", False),
            ("look_up", False),
            ("one_job", False),
        ),
    ],
)
def test_a_private_word_is_one_as_a_part_of_a_name(name: str, wrong: bool) -> None:
    assert private(name) == wrong


def test_no_name_in_python_has_a_private_word() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in PYTHON
        for line, name in names(path)
        if private(name)
    ] == []


def test_no_name_in_javascript_has_a_private_word() -> None:
    assert JAVASCRIPT
    code = {p: _NOT_CODE.sub("", p.read_text(encoding="utf-8")) for p in JAVASCRIPT}
    assert [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in code.items()
        for name in sorted(set(re.findall(r"[A-Za-z_$][\w$]*", text)))
        if private(name)
    ] == []


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(str(path.relative_to(SRC)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_two_modules_differ_by_a_letter() -> None:
    modules = {path.stem for path in SRC.rglob("*.py") if path.stem[0] != "_"}
    packages = {path.parent.name for path in SRC.rglob("__init__.py")}
    pairs = combinations(sorted(modules | packages), 2)
    assert [pair for pair in pairs if _differ_by_a_letter(*pair)] == []


def _differ_by_a_letter(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) == len(longer):
        return sum(a != b for a, b in zip(shorter, longer, strict=True)) == 1
    return shorter in (longer[:i] + longer[i + 1 :] for i in range(len(longer)))
