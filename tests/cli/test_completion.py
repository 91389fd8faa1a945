"""What the shell completes: from local files only, and without a word if it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import build
from tests.build import Built
from tests.cli.test_start import HEAVY, imported

WORKSPACE = "projects/proj/workspace"
STEPS = ["zproj", "qc", "qc_persite", "illum", "assaydev", "assaydev_persite"]
STEPS += ["analysis"]


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    made = build.project(tmp_path, plates=["P1", "P2", "Q1"])
    monkeypatch.chdir(tmp_path)
    return made


def asked(words: str, shell: str = "bash") -> "subprocess.CompletedProcess[str]":
    """Ask as a shell does, with the cursor at the end of the words."""
    given = f"cpengine {words}"
    environ = {
        "COMP_WORDS": given.replace(" ", "\n") if shell == "bash" else given,
        "COMP_CWORD": str(given.count(" ")),
        "_TYPER_COMPLETE_ARGS": given,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_CPENGINE_COMPLETE": f"complete_{shell}",
    }
    program = Path(sys.executable).with_name("cpengine")
    return subprocess.run(
        [program],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def completed(words: str, shell: str = "bash") -> list[str]:
    found = asked(words, shell)
    assert found.stderr == ""
    return found.stdout.split()


def test_commands_and_options_are_completed(built: Built) -> None:
    assert completed("sta") == ["status"]
    assert completed("aws set") == ["setup"]
    assert completed("run --exc") == ["--exclude-flagged"]
    assert completed("run --only ") == ["failed", "stale", "missing", "left"]


@pytest.mark.parametrize(
    "command",
    ["run", "check", "plan", "status", "logs", "report", "collect", "aws submit"],
)
def test_steps_are_completed(built: Built, command: str) -> None:
    assert completed(f"{command} ") == STEPS
    assert completed(f"{command} anal") == ["analysis"]


def test_steps_of_the_project_are_completed_but_once(built: Built) -> None:
    own = '[steps.nuclei]\npipeline = "n.cppipe"\noutput = "n"\n'
    own += 'group = ["Metadata_Plate"]\n'
    built.toml.write_text(built.toml.read_text() + own)
    assert completed("run nu") == ["nuclei"]
    assert completed("run illum nuclei ") == [step for step in STEPS if step != "illum"]


def test_plates_are_completed_from_folders_or_the_project_file(built: Built) -> None:
    assert completed("run analysis --plate P") == ["P1", "P2"]
    assert completed("run --plate P1,") == ["P1,P1", "P1,P2", "P1,Q1"]
    named = 'batch = "B1"\nplates = ["X1", "X2"]'
    build.change(built.toml, 'batch = "B1"', named)
    assert completed("status --plate ") == ["X1", "X2"]


def test_executors_are_completed(built: Built) -> None:
    assert completed("run --on s") == ["slurm", "sge"]
    assert completed("check --on=lo") == ["local"]


def test_jobs_that_have_logs_are_completed(built: Built) -> None:
    logs = built.root / WORKSPACE / "cpengine/B1/analysis/logs"
    logs.mkdir(parents=True)
    for job in ("P1-A01-1", "P1-A01-2", "P2-A01-1"):
        (logs / f"{job}.log").touch()
    assert completed("logs analysis P1") == ["P1-A01-1", "P1-A01-2"]
    assert completed("logs illum P1") == []


def test_a_project_that_is_named_or_above_is_the_one(
    built: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(built.csv.parent)
    assert completed("run --plate Q") == ["Q1"]
    monkeypatch.chdir("/")
    assert completed("run --plate Q") == []
    assert completed(f"run -C {tmp_path} --plate Q") == ["Q1"]


def test_a_project_on_s3_completes_what_needs_no_network(built: Built) -> None:
    text = '[project]\nname = "proj"\nbatch = "B1"\n[storage]\nroot = "s3://none"\n'
    built.toml.write_text(text)
    assert completed("run anal") == ["analysis"]
    assert completed("run --on slu") == ["slurm"]
    assert completed("run --plate P") == []
    assert completed("logs analysis P") == []


@pytest.mark.parametrize("text", ["no toml", "[project]\nnme = 1\n", None])
@pytest.mark.parametrize("words", ["run ", "run --plate ", "logs analysis ", "status "])
def test_what_is_wrong_gives_nothing_and_no_word(
    built: Built, text: str | None, words: str
) -> None:
    built.toml.unlink()
    if text is not None:
        built.toml.write_text(text)
    assert completed(words) == []


def test_a_name_that_a_shell_would_act_upon_is_not_offered(built: Built) -> None:
    folder = built.csv.parent.parent
    for name in ("P3;ls", "P4$(ls)", "P5`ls`", "P6*", "P7 8", "P9\nls", "P\x1b[2J"):
        (folder / name).mkdir()
    assert completed("run --plate P") == ["P1", "P2"]


@pytest.mark.services
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_answered_in_its_form(built: Built, shell: str) -> None:
    assert "analysis" in asked("run anal", shell).stdout


@pytest.mark.parametrize(
    "words",
    [
        *("run ", "run --plate P", "run --on s", "run --f", "logs analysis P"),
        *("status --plate P", "check a", "report a", "collect a", "qc a", "montage a"),
        *("estimate --on s", "plan a"),
    ],
)
def test_to_complete_a_word_what_runs_jobs_is_not_imported(
    built: Built, words: str
) -> None:
    given = f"cpengine {words}"
    found = imported(
        COMP_WORDS=given.replace(" ", "\n"),
        COMP_CWORD=str(given.count(" ")),
        _CPENGINE_COMPLETE="complete_bash",
    )
    assert "cpengine.cli.base" in found
    rooms = {"cpengine.project", "cpengine.run.session", "cpengine.job.run_job"}
    assert found & (HEAVY | rooms) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_reads_the_script(built: Built, shell: str) -> None:
    program = shutil.which(shell)
    assert program, f"there is no {shell}: tests/packages.sh installs it"
    environ = os.environ | {"_CPENGINE_COMPLETE": f"source_{shell}"}
    cpengine = Path(sys.executable).with_name("cpengine")
    script = subprocess.run([cpengine], env=environ, capture_output=True, check=True)
    subprocess.run([program, "-n"], input=script.stdout, check=True)


_BASH = """
. "$HOME/.bash_completions/cpengine.sh"
COMP_WORDS=(cpengine run --plate P) COMP_CWORD=3
_cpengine_completion cpengine
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_what_install_completion_writes_completes_in_bash(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    install = "cpengine --install-completion; true"  # typer asks which shell called it
    installed = subprocess.run(["bash", "-c", install], capture_output=True, text=True)
    assert "bash completion installed" in installed.stdout, installed
    assert "bash_completions" in (home / ".bashrc").read_text()
    found = subprocess.run(["bash", "-c", _BASH], capture_output=True, text=True)
    assert (found.stdout.split(), found.stderr) == (["P1", "P2"], "")
