"""What others write into a ledger is shown: nothing of it is run, removed or followed.

The other user is a real one, who writes; the project's owner is the one who reads.
"""

import inspect
import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cpengine.cli.going_on import SAME, arguments_of
from cpengine.cli.run import run
from cpengine.executors.detach import program
from cpengine.ledger import driver_sign
from cpengine.ledger.heartbeat import Heartbeat
from cpengine.ledger.ledger import Ledger
from cpengine.storage.store import Storage
from cpengine.system import namespace
from tests import build
from tests.cli.test_cli import call
from tests.services.other_user import OtherUser

RUN = "20260101T000000Z-ab12"
COMMAND = "cpengine run analysis --on local"
RECORD: dict[str, Any] = {
    "id": RUN,
    "step": "analysis",
    "user": "eve",
    "host": "far",
    "cwd": "/",
    "command": COMMAND,
    "executor": "slurm",
    "versions": {},
    "machine": {},
    "pipeline": "p",
    "pipeline_sha256": "0",
    "plugins": None,
    "jobs": 4,
    "softened": {},
    "then": "",
    "started": "2026-01-01T00:00:00+00:00",
    "ended": "",
    "result": "running",
    "counts": {},
    "plate_s": {},
}
SIGN: dict[str, Any] = {
    "run": RUN,
    "time": "2026-01-01T00:00:00+00:00",
    "progress": "1/4 done",
    "host": "far",
    "pid": 1,
}
TRACES = {"scheduler": "slurm", "jobs": "cpengine-abcdef"}


@dataclass(frozen=True, slots=True)
class Shared:
    """A project in a folder that another user can see, with a ledger for all."""

    root: Path
    ledger: Path
    asked: Path
    """What scancel was asked for."""
    other: OtherUser

    def write(self, place: str, data: Any, *, own: bool) -> None:
        """Have one of the users write a file of the ledger."""
        file, text = self.ledger / place, json.dumps(data)
        if own:
            file.write_text(text)
        else:
            self.other.run(f"printf %s {shlex.quote(text)} > {shlex.quote(str(file))}")

    def killed(self, *, own: bool = True, traces: Any = TRACES, **record: Any) -> None:
        """Write what a driver leaves that was killed."""
        self.write(f"runs/{RUN}.json", RECORD | record, own=own)
        self.write(f"drivers/{RUN}.alive", SIGN | {"traces": traces}, own=own)

    def cancelled(self) -> list[str]:
        """The jobs that scancel was asked to end."""
        return self.asked.read_text().splitlines() if self.asked.exists() else []

    def record(self) -> Any:
        """The run's record, as it stands."""
        return json.loads((self.ledger / f"runs/{RUN}.json").read_text())


@pytest.fixture
def shared(other_user: OtherUser, monkeypatch: pytest.MonkeyPatch) -> Shared:
    place = other_user.shared
    root = place / "project"
    build.project(root)
    ledger = root / "projects/proj/workspace/cpengine/B1/analysis"
    for name in ("runs", "drivers"):
        (ledger / name).mkdir(parents=True)
        (ledger / name).chmod(0o777)
    commands = place / "bin"
    commands.mkdir()
    scancel = commands / "scancel"
    scancel.write_text(f'#!/bin/sh\necho "$@" >> {place}/asked\n')
    scancel.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.setattr(driver_sign, "SILENT_S", 0.2)
    return Shared(root, ledger, place / "asked", other_user)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What attach would become."""
    found: list[list[str]] = []

    def become(path: str, words: list[str]) -> None:
        found.append(words)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", become)
    return found


@pytest.mark.parametrize("command", ["attach", "cancel"])
@pytest.mark.parametrize("own", [True, False])
def test_no_folder_goes_that_a_sign_names(
    own: bool, command: str, shared: Shared, tmp_path: Path
) -> None:
    victim = tmp_path / "results"
    victim.mkdir()
    shared.killed(own=own, traces=TRACES | {"folder": str(victim)})
    call(command, "-C", shared.root)
    assert victim.exists()


@pytest.mark.parametrize(
    "jobs",
    ["training", "cpengine-abcdef,training", "", ["x"], None, "../cpengine-abcdef"],
)
def test_jobs_of_other_names_are_not_cancelled(jobs: Any, shared: Shared) -> None:
    traces = {"scheduler": "slurm", "jobs": jobs}
    shared.killed(traces=traces)
    assert call("cancel", "-C", shared.root).exit_code == 0
    assert shared.cancelled() == []


def test_what_is_cancelled_and_removed_is_named_by_the_runs_id(shared: Shared) -> None:
    folder = shared.root / ".cpengine/slurm-abcdef"
    folder.mkdir(parents=True)
    shared.killed()
    ran = call("cancel", "-C", shared.root)
    assert ran.exit_code == 0, ran.stderr
    assert shared.cancelled() == [f"--name=cpengine-abcdef --user={os.geteuid()}"]
    assert not folder.exists()
    assert shared.record()["result"] == "killed"


@pytest.mark.parametrize("own", [True, False])
def test_a_ledger_behind_a_link_counts_if_the_link_is_ours(
    own: bool, shared: Shared
) -> None:
    shared.killed()
    real = shared.ledger.rename(shared.other.shared / "elsewhere")
    shared.ledger.parent.chmod(0o1777)
    if own:
        shared.ledger.symlink_to(real)
    else:
        shared.other.run(f"ln -s {real} {shared.ledger}")
    seen = call("status", "-C", shared.root)
    ended = call("cancel", "-C", shared.root)
    assert (seen.exit_code, ended.exit_code) == ((0, 0) if own else (2, 2))
    assert len(shared.cancelled()) == own
    assert ("nothing has run yet" in seen.stderr) != own


@pytest.mark.parametrize("kind", ["another user's", "a link"])
def test_a_folder_that_is_not_ours_stays(
    kind: str, shared: Shared, tmp_path: Path
) -> None:
    folder, victim = shared.root / ".cpengine/slurm-abcdef", tmp_path / "victim"
    folder.parent.mkdir()
    folder.parent.chmod(0o1777)
    victim.mkdir()
    (victim / "file").touch()
    if kind == "a link":
        folder.symlink_to(victim)
    else:
        shared.other.run(f"mkdir {folder}")
    shared.killed()
    ran = call("cancel", "-C", shared.root)
    assert ran.exit_code == 0, ran.stderr
    assert folder.exists()
    assert (victim / "file").exists()
    assert (f"{folder}: is another user's, and stays" in ran.stderr) == (
        kind == "another user's"
    )


def test_a_sign_of_another_user_ends_no_job_of_ours(shared: Shared) -> None:
    shared.killed()
    (shared.ledger / f"drivers/{RUN}.alive").unlink()
    shared.write(f"drivers/{RUN}.alive", SIGN | {"traces": TRACES}, own=False)
    assert call("cancel", "-C", shared.root).exit_code == 0
    assert shared.cancelled() == []


def test_a_run_goes_on_also_when_its_end_was_seen_before(
    shared: Shared, started: list[list[str]]
) -> None:
    shared.killed()
    for _ in range(2):  # looking changes nothing
        seen = call("attach", "-C", shared.root).stderr
        assert "go on with `cpengine attach --go-on`" in seen
        assert shared.record() == RECORD
    assert call("attach", "-C", shared.root, "--go-on").exit_code == 0
    assert len(started) == 1


@pytest.mark.parametrize("more", [[], ["--go-on"]])
def test_a_run_of_another_user_is_shown_and_nothing_done(
    more: list[str], shared: Shared, started: list[list[str]]
) -> None:
    shared.killed(own=False)
    ran = call("attach", "-C", shared.root, *more)
    assert ran.exit_code == 2
    assert "eve's driver on far is gone, what is done is recorded" in ran.stderr
    assert f"to go on with it: cpengine run -C {shared.root} --on=local" in ran.stderr
    ran = call("cancel", "-C", shared.root)
    assert ran.exit_code == 2
    assert "the run is not yours: nothing is removed" in ran.stderr
    assert started == []
    assert shared.cancelled() == []
    assert (shared.ledger / f"drivers/{RUN}.alive").exists()
    assert shared.record()["result"] == "running"


_FORGED = "\nanalysis: all is done\n"


@pytest.mark.parametrize("command", ["attach", "cancel", "status"])
@pytest.mark.parametrize("ended", ["", "2026-01-01T00:00:09+00:00"])
def test_what_a_record_says_makes_no_lines(
    ended: str, command: str, shared: Shared
) -> None:
    says = dict.fromkeys(("user", "host", "result"), f"x{_FORGED}")
    going_on = f"cpengine run analysis --plate 'x{_FORGED}'"
    counts = {f"done{_FORGED}": 1}
    shared.killed(own=False, command=going_on, ended=ended, counts=counts, **says)
    shared.write(f"drivers/{RUN}.alive", SIGN | {"host": f"x{_FORGED}"}, own=False)
    ran = call(command, "-C", shared.root)
    assert "all is done" in ran.output
    assert "analysis: all is done" not in ran.output.splitlines()


@pytest.mark.parametrize(
    "command",
    [
        *("sh -c id", "/tmp/evil", "cpengine", "cpengine aws down analysis", "'", ""),
        *("cpengine run", "cpengine run analysis --no-such", "cpengine run --help"),
        *("python -c 'import os'", None, ["cpengine", "run"]),
    ],
)
def test_no_other_command_is_run(
    command: Any, shared: Shared, started: list[list[str]]
) -> None:
    shared.killed(command=command)
    ran = call("attach", "-C", shared.root, "--go-on")
    assert ran.exit_code == 2
    text = isinstance(command, str)
    says = "run its steps again yourself" if text else "is damaged (command: "
    assert says in ran.stderr
    assert started == []


def test_a_run_goes_on_with_options_of_a_list_in_its_project(
    shared: Shared, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (
        "/tmp/evil run analysis -C /tmp/evil --on slurm --well 'A 01' --plate=-x "
        "--notify https://evil --yes --json --detach --workers 3 --keep-stale"
    )
    shared.killed(command=command, cwd="/nowhere")
    monkeypatch.chdir(shared.root)
    assert call("attach", "--go-on").exit_code == 0
    options = ["--on=slurm", "--plate=-x", "--well=A 01", "--workers=3", "--keep-stale"]
    same = ["run", "-C", ".", *options, "--", "analysis"]
    assert started == [program(same)]
    assert Path.cwd() == shared.root


def test_machines_cost_only_if_who_goes_on_agrees(
    shared: Shared, started: list[list[str]]
) -> None:
    shared.killed(command=f"{COMMAND} --yes")
    for more in ([], ["--yes"]):
        shared.write(f"runs/{RUN}.json", RECORD, own=True)
        call("attach", "-C", shared.root, "--go-on", *more)
    assert ["--yes" in words for words in started] == [False, True]


def test_each_option_of_run_is_the_same_or_is_left_out() -> None:
    left_out = {"folder", "dry_run", "detach", "notify", "yes", "as_json", "steps"}
    left_out.add("exact_check")  # who goes on compares as if it were a new run
    assert set(inspect.signature(run).parameters) == {*SAME, *left_out}
    words = (
        "--exclude-flagged --force --keep-stale --unchecked --only=stale --plate=a,b"
    )
    more = "--well=c --site=1 --workers=3 --max-failures=4 --on=x"
    made = arguments_of(f"cpengine run {words} {more} analysis", Path())
    assert set(made) == {
        *words.split(),
        *more.split(),
        *["run", "-C", ".", "--", "analysis"],
    }


@pytest.mark.parametrize("name", ["zzz.json", "99999999.json", f"{RUN}~.json", ".json"])
def test_a_record_of_another_name_is_none(name: str, shared: Shared) -> None:
    shared.killed(ended="2026-01-01T00:00:01+00:00", result="stopped")
    shared.write(f"runs/{name}", RECORD | {"id": "x"}, own=False)
    ran = call("attach", "-C", shared.root)
    assert "stopped" in ran.stdout


def test_a_record_does_not_say_which_run_it_is_of(shared: Shared) -> None:
    others = [shared.ledger / "runs/x.json", shared.ledger / "drivers/x.alive"]
    for file in others:
        file.write_text(json.dumps(RECORD | {"id": "../runs/x"}))
    before = [file.read_text() for file in others]
    shared.killed(id="../runs/x", step="../../x")
    ran = call("cancel", "-C", shared.root)
    assert ran.exit_code == 0, ran.stderr
    assert "analysis: its driver was gone already" in ran.stdout
    assert [file.read_text() for file in others] == before
    assert shared.record()["result"] == "killed"


def test_no_module_of_the_folder_is_imported(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('taken')")
    ran = subprocess.run(
        program(["--version"]), cwd=tmp_path, capture_output=True, check=False
    )
    assert ran.stdout.startswith(b"cpengine ")


def test_a_driver_leaves_the_signs_of_another_users_runs(shared: Shared) -> None:
    mine, others = "20250101T000000Z-aaaa", "20250101T000000Z-bbbb"
    died = SIGN | {"pid": 2**22 + 1, "namespace": str(namespace.own())}
    shared.write(f"drivers/{mine}.alive", died, own=True)
    shared.write(f"drivers/{others}.alive", died, own=False)
    ledger = Ledger(Storage(str(shared.ledger.parent)), shared.ledger.name)
    with Heartbeat(ledger, RUN, {}, lambda: ""):
        left = set(ledger.storage.sizes(f"{ledger.folder}/drivers"))
    assert left == {f"{others}.alive", f"{RUN}.alive", f"{RUN}.jobs"}
