"""Executors by name, those of other packages included."""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cpengine.config import executor_entries
from cpengine.errors import ConfigError, ExecutorError
from cpengine.executors import registry
from tests import build

SRC = Path(registry.__file__).parents[1]
MOON = """
from cpengine.backend import ExecutorEntry, Section

class Settings(Section):
    probes: int = 3

class Moon(ExecutorEntry):
    Settings = Settings

    def create(self, project, machine, workers): ...
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Have a package with an executor `moon`."""

    def package(code: str = MOON, value: str = "moonshot:Moon") -> None:
        info = tmp_path / "moon-1.dist-info"
        info.mkdir()
        metadata = "Metadata-Version: 2.1\nName: moon\nVersion: 1\n"
        (info / "METADATA").write_text(metadata)
        points = f"[{executor_entries.GROUP}]\nmoon = {value}\n"
        (info / "entry_points.txt").write_text(points)
        (tmp_path / "moonshot.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)

    yield package
    sys.modules.pop("moonshot", None)


def test_unknown_executor_is_reported_with_what_there_is() -> None:
    with pytest.raises(ExecutorError, match=r"--on moon: .* choose from local, inline"):
        registry.entry("moon")


def test_every_executor_of_ours_is_found_by_its_name() -> None:
    assert [registry.entry(name).name for name in registry.BUILT_IN] == [
        *("local", "inline", "dask", "slurm", "pbs", "lsf", "sge", "htcondor", "aws")
    ]


def test_executor_of_another_package_is_found_by_its_entry_point(
    install: Install,
) -> None:
    install()
    assert type(registry.entry("moon")).__module__ == "moonshot"
    assert registry.names()[-1] == "moon"
    assert "moon" in [entry.name for entry in registry.entries()]


@pytest.mark.parametrize(
    ("code", "value", "why"),
    [
        ("import nowhere", "moonshot:Moon", "ModuleNotFoundError: No module named"),
        ("raise SystemError('a\\nb')", "moonshot:Moon", "SystemError: a.+b"),
        (MOON, "moonshot:Sun", "AttributeError"),
        (MOON, "moonshot:Settings", "is no subclass of cpengine.backend.ExecutorEntry"),
    ],
)
def test_an_entry_that_cannot_be_used_is_one_line_and_stops_no_other(
    code: str, value: str, why: str, install: Install
) -> None:
    install(code, value)
    with pytest.raises(
        ExecutorError, match=rf"--on moon: moonshot:\w+ .*{why}"
    ) as refused:
        registry.entry("moon")
    assert len(str(refused.value).splitlines()) == 1
    assert [entry.name for entry in registry.entries()] == list(registry.BUILT_IN)


def test_the_section_of_another_packages_executor_is_read_as_its_settings(
    install: Install, tmp_path: Path
) -> None:
    install()
    made = build.project(tmp_path / "a", toml="[executors.moon]\nprobes = 5\n")
    assert registry.entry("moon").settings(made.project()).probes == 5
    plain = build.project(tmp_path / "b").project()
    assert registry.entry("moon").settings(plain).probes == 3


def test_what_is_wrong_in_such_a_section_is_reported_as_in_ours(
    install: Install, tmp_path: Path
) -> None:
    install()
    toml = '[executors.moon]\nprobs = 5\nprobes = "x"\n'
    with pytest.raises(ConfigError) as refused:
        build.project(tmp_path / "a", toml=toml).project()
    file = tmp_path / "a/cpengine.toml"
    assert str(refused.value).splitlines() == [
        f"{file}: executors.moon.probs: unknown key: did you mean probes?",
        f'{file}: executors.moon.probes: "x" is not allowed: input should be a valid '
        "integer, unable to parse string as an integer",
    ]


def test_a_setting_without_a_default_is_asked_for(
    install: Install, tmp_path: Path
) -> None:
    install(MOON.replace(" = 3", ""))
    project = build.project(tmp_path / "a").project()
    with pytest.raises(ConfigError, match=r"executors.moon: probes: is missing: add"):
        registry.entry("moon").settings(project)


def test_a_section_of_no_executor_is_an_unknown_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"executors.moon: unknown key \(known: aws"):
        build.project(tmp_path / "a", toml="[executors.moon]\n").project()


def test_no_code_names_an_executor_but_its_own() -> None:
    """A default may be named; so may the commands that are one executor's own."""
    allowed = ("executors/registry.py", "cli/aws.py")
    found = [
        f"{path.relative_to(SRC)}: {ast.unparse(node)}"
        for path in sorted(SRC.rglob("*.py"))
        if not path.is_relative_to(SRC / "executors/slurm")
        if not path.is_relative_to(SRC / "executors/aws")
        if str(path.relative_to(SRC)) not in allowed
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        for text in ast.walk(node)
        if isinstance(text, ast.Constant) and text.value in registry.BUILT_IN
    ]
    assert found == []
