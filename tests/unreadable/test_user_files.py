"""Damage of what users bring and of results: no command ends with a traceback."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.unreadable.damage import ANY, JSON, Kind
from tests.unreadable.screen import STEP, WORKSPACE, Screen
from tests.unreadable.test_matrix import OWN, sane

ALL = (
    f"plan {STEP}",
    f"check {STEP}",
    f"status {STEP} --verify",
    f"report {STEP}",
    f"collect {STEP} --force",
    f"qc {STEP}",
    f"montage {STEP}",
    f"estimate {STEP} --force",
    f"logs {STEP} P1-A01",
    f"run {STEP} --force",
    "attach",
    "cancel",
)
FEW = (f"plan {STEP}", f"check {STEP}", f"run {STEP}")
"""Commands by which all that plan a step are tried."""
LEDGER = f"{WORKSPACE}/cpengine/B1/{STEP}"
OUTPUTS = f"{WORKSPACE}/qc/B1"
TOML: Mapping[str, Kind] = {
    "deep arrays": lambda data: data + b"a = " + b"[" * 5000 + b"]" * 5000,
    "deep tables": lambda data: data + b"[" + b".".join([b"a"] * 5000) + b"]\n",
    "deep keys": lambda data: data + b".".join([b"a"] * 5000) + b" = 1\n",
    "deep inline": lambda data: data + b"x = " + b"{a = " * 3000 + b"1" + b"}" * 3000,
    "huge": lambda data: data + b"# comment\n" * 500_000,
    "a long number": lambda data: data + b"x = " + b"9" * 5000,
    "a NUL": lambda data: data.replace(b"B1", b"B\\u00001"),
    "a NUL in the root": lambda data: data.replace(
        b"[storage]", b'[storage]\nroot = "a\\u0000b"'
    ),
    "a long root": lambda data: data.replace(
        b"[storage]", b'[storage]\nroot = "' + b"a" * 5000 + b'"'
    ),
    "a NUL in a place": lambda data: data + b'[steps.qc]\ninput = "a\\u0000b"\n',
    "a long place": lambda data: (
        data + b'[steps.qc]\noutput = "' + b"a" * 5000 + b'"\n'
    ),
    "a NUL in scratch": lambda data: (
        data + b'[executors.local]\nscratch = "a\\u0000b"\n'
    ),
}
PIPELINE: Mapping[str, Kind] = {
    "no modules": lambda data: data[: data.index(b"LoadData")],
    "many modules": lambda data: data.replace(
        b"ModuleCount:", b"ModuleCount:" + b"9" * 5000
    ),
    "a version of digits": lambda data: data.replace(
        b"Version:5", b"Version:" + b"1" * 5000
    ),
    "a long line": lambda data: data + b"    a:" + b"x" * 2_000_000,
    "NULs": lambda data: data.replace(b"Nuclei", b"Nu\0clei"),
    "two settings of a line": lambda data: data.replace(b"\n    ", b"\r    "),
}
CSV: Mapping[str, Kind] = {
    "a header alone": lambda data: data.split(b"\n")[0] + b"\n",
    "half a row": lambda data: data[: data.rindex(b",")],
    "a NUL": lambda data: data.replace(b",", b",\0", 3),
    "a NUL in a row": lambda data: data[:-4] + b"\0" + data[-4:],
    "an open quote": lambda data: data.replace(b",", b',"', 1),
    "a long field": lambda data: data + b"x" * 200_000 + b"\n",
    "a long quoted field": lambda data: data + b'"' + b"x" * 200_000 + b'"\n',
    "only commas": lambda data: b"," * 50 + b"\n" + b"," * 50 + b"\n",
    "blank lines": lambda data: b"\n\n\n",
    "carriage returns": lambda data: data.replace(b"\n", b"\r"),
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "numbers without end": lambda data: data.replace(b"-2.5", b"1e999"),
    "columns of other names": lambda data: b"a,b,c\n1,2,3\n",
    "long numbers": lambda data: data.replace(b"2,", b"9" * 5000 + b",", 1),
}
JSON_ALONE = {k: JSON[k] for k in ("null", "a number", "a list", "deep")}
FILES: Mapping[str, tuple[str, Sequence[str], Mapping[str, Kind]]] = {
    "project file": ("cpengine.toml", FEW, {**ANY, **TOML}),
    "pipeline": (f"{WORKSPACE}/pipelines/B1/*", FEW, {**ANY, **PIPELINE, **JSON_ALONE}),
    "table": (f"{WORKSPACE}/load_data_csv/B1/P1/*", FEW, {**ANY, **CSV}),
    "measures of images": (
        f"{OUTPUTS}/results/P1-A01/Image.csv",
        (f"qc {STEP}", f"collect {STEP} --force", f"status {STEP} --verify"),
        {**ANY, **CSV},
    ),
    "measures of objects": (
        f"{OUTPUTS}/results/P1-A01/Cells.csv",
        (f"qc {STEP}", f"collect {STEP} --force"),
        {**ANY, **CSV},
    ),
    "picture": (f"{OUTPUTS}/results/P1-A01/*.png", (f"montage {STEP}",), ANY),
    "image": (
        "projects/proj/B1/images/P1/A01_1.tif",
        (f"montage {STEP} --channel OrigDNA",),
        ANY,
    ),
    "judged plate": (
        f"{OUTPUTS}/P1/P1_image_quality.csv",
        (f"qc {STEP} --plate P1",),
        {**ANY, **CSV},
    ),
    "flagged sites": (
        f"{OUTPUTS}/flagged_sites.csv",
        (f"plan {STEP} --exclude-flagged",),
        {**ANY, **CSV},
    ),
    "log": (
        f"{LEDGER}/logs/P1-A03.log",
        (f"logs {STEP} P1-A03", f"report {STEP}"),
        ANY,
    ),
    "collected images": (
        f"{WORKSPACE}/backend/B1/P1/{STEP}/P1_Image.parquet",
        (f"collect {STEP}",),
        ANY,
    ),
    "facts of a montage": (
        f"{WORKSPACE}/montage/B1/{STEP}/P1/*/montage.json",
        (f"montage {STEP} --channel OrigDNA", f"montage {STEP}"),
        {**ANY, **JSON},
    ),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, (_, _, k) in FILES.items() for kind in k]
)
def test_file_is_damaged(project: Screen, name: str, kind: str) -> None:
    pattern, commands, kinds = FILES[name]
    path = project.find(pattern)
    path.write_bytes(kinds[kind](path.read_bytes()))
    for command in commands:
        result = sane(project.call(*command.split()))
        if result.exit_code == 2 and kind in ANY and name != "pipeline":
            assert path.name in result.output, command


@pytest.mark.parametrize("kind", ["empty", "cut in half", "no UTF-8"])
@pytest.mark.parametrize("name", ["project file", "pipeline", "table"])
def test_no_command_ends_with_a_traceback(
    project: Screen, name: str, kind: str
) -> None:
    path = project.find(FILES[name][0])
    path.write_bytes(ANY[kind](path.read_bytes()))
    for command in ALL:
        sane(project.call(*command.split()))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _unreadable(path: Path) -> None:
    """A disk that fails: it can be opened, and gives an error when it is read."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


def _link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


PLACES = {
    "a folder": _folder,
    "a failing disk": _unreadable,
    "a link to itself": _link_to_itself,
}
OWN_FILES = {name: (own.pattern, own.commands, {}) for name, own in OWN.items()}


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("name", {**FILES, **OWN_FILES})
def test_something_else_is_in_the_place_of_a_file(
    project: Screen, name: str, kind: str
) -> None:
    pattern, commands, _ = {**FILES, **OWN_FILES}[name]
    PLACES[kind](project.find(pattern))
    for command in commands:
        sane(project.call(*command.split()))


@pytest.mark.parametrize("depth", [10, 25, 100, 300, 700, 950])
def test_a_project_file_nested_deeply_is_refused(project: Screen, depth: int) -> None:
    path = project.root / "cpengine.toml"
    path.write_text(f"{path.read_text()}x = {'[' * depth}{']' * depth}\n")
    result = sane(project.call("plan", STEP))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {path}: ")
