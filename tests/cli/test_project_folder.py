"""The project is found from its subfolders, and nobody else's is taken for it."""

import os
from pathlib import Path

import pytest

from tests.build import Built
from tests.cli.test_cli import built, call

__all__ = ["built"]

STRANGER = 54321


def below(built: Built) -> Path:
    """A folder of the project's."""
    return built.csv.parent


def given_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file another user's, or us another user."""
    if os.geteuid() == 0:
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)


@pytest.mark.parametrize("command", [["plan", "analysis"], ["check", "analysis"]])
def test_a_project_is_found_from_its_subfolders(
    built: Built, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = call(*command, "-C", built.root)
    monkeypatch.chdir(below(built))
    found = call(*command)
    assert (found.exit_code, found.stdout) == (wanted.exit_code, wanted.stdout)
    assert "4 jobs" in found.stdout


def test_a_run_from_a_subfolder_is_the_project_s(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(below(built))
    assert call("run", "analysis").exit_code == 0
    assert "4 jobs" in call("run", "analysis", "-C", built.root).stdout
    assert not (below(built) / "projects").exists()


def test_the_nearest_project_counts(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    (below(built) / "cpengine.toml").write_text("no toml")
    monkeypatch.chdir(below(built))
    result = call("plan", "analysis")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cpengine.toml: cannot be read")


def test_a_folder_that_is_named_is_taken_as_it_is(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(below(built))
    result = call("plan", "analysis", "-C", ".")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cpengine.toml: is not there")


def test_without_a_project_above_it_says_that_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("plan", "analysis")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cpengine.toml: is not there: make one")


def test_another_user_s_project_file_above_is_not_taken(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_away(built.toml, monkeypatch)
    monkeypatch.chdir(below(built))
    result = call("plan", "analysis")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert f"error: {built.toml}: belongs to user {STRANGER}" in result.stderr or (
        os.geteuid() != 0
    )
    assert f"name it: -C {built.root}" in result.stderr
    assert call("plan", "analysis", "-C", built.root).exit_code == 0


def test_another_user_s_link_to_a_file_of_one_s_own_is_not_taken(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.toml.rename(built.root / "mine.toml")
    built.toml.symlink_to(built.root / "mine.toml")
    given_away(built.toml, monkeypatch)
    monkeypatch.chdir(below(built))
    assert call("plan", "analysis").exit_code == 2


def test_a_link_of_another_user_that_leads_nowhere_is_no_traceback(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.toml.unlink()
    built.toml.symlink_to(built.root / "nowhere")
    given_away(built.toml, monkeypatch)
    monkeypatch.chdir(below(built))
    result = call("plan", "analysis")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_a_working_folder_that_is_gone_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = call("plan", "analysis")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_to_go_on_with_a_run_no_other_project_is_searched(
    built: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cpengine.cli.going_on import arguments_of

    other = tmp_path / "cpengine.toml"
    other.touch()
    given_away(other, monkeypatch)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert arguments_of("cpengine run analysis", built.root) == [
        *("run", "-C", str(built.root), "--on=local", "--", "analysis")
    ]
