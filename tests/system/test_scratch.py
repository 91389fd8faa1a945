"""Whose scratch folders are removed: those of the dead, and of nobody else."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cpengine.system import namespace
from cpengine.system.namespace import PidNamespace, own
from cpengine.system.scratch import fresh, owned, sweep

BOOT_ID = "sys/kernel/random/boot_id"
OUTSIDE = 4026531836


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def _proc(folder: Path, boot: str, number: int) -> Path:
    """A /proc of a machine and a container."""
    (folder / BOOT_ID).parent.mkdir(parents=True)
    (folder / BOOT_ID).write_text(f"{boot}\n")
    (folder / "self/ns").mkdir(parents=True)
    (folder / "self/ns/pid").symlink_to(f"pid:[{number}]")
    return folder


def _spaces(tmp_path: Path, *of: tuple[str, int]) -> list[PidNamespace]:
    folders = (tmp_path / str(number) for number in range(len(of)))
    return [own(_proc(f, *each)) for f, each in zip(folders, of, strict=True)]


def test_numbers_are_shared_within_one_boot_and_one_container(tmp_path: Path) -> None:
    a, same, other_boot, container = _spaces(
        tmp_path, ("a", OUTSIDE), ("a", OUTSIDE), ("b", OUTSIDE), ("a", 4026532001)
    )
    assert a.shares_numbers(same)
    assert not a.shares_numbers(other_boot)
    assert not a.shares_numbers(container)
    assert a._replace(host="f" * 8).shares_numbers(a)  # a name of its own is no matter


def test_only_a_machine_itself_is_known_again_after_its_start(tmp_path: Path) -> None:
    before, now, container = _spaces(
        tmp_path, ("a", OUTSIDE), ("b", OUTSIDE), ("a", 4026532001)
    )
    assert before.is_earlier_boot(now)
    assert not before.is_earlier_boot(before)
    assert not before._replace(host="f" * 8).is_earlier_boot(now)
    assert not container.is_earlier_boot(now)
    assert not before.is_earlier_boot(container)


def test_where_nothing_is_known_the_host_must_do(tmp_path: Path) -> None:
    unknown = own(tmp_path)
    assert (unknown.boot, unknown.number) == ("0", "0")
    assert unknown.shares_numbers(unknown)
    assert not unknown._replace(host="f" * 8).shares_numbers(unknown)


def test_a_namespace_is_itself_again_out_of_text() -> None:
    assert PidNamespace.parse(str(own())) == own()
    assert len(str(own())) < 30
    for text in ("", "a", "a-b", "a--c", "a-b-c-d"):
        assert PidNamespace.parse(text) is None


def _left_by_sweeping(parent: Path, name: str, changed: float | None = None) -> bool:
    """Whether a folder of that name, which was changed then, is still there."""
    folder = parent / name
    folder.mkdir()
    if changed is not None:
        os.utime(folder, (changed, changed))
    sweep(parent)
    return folder.exists()


def test_what_a_killed_process_had_goes(tmp_path: Path, dead: int) -> None:
    assert not _left_by_sweeping(tmp_path, f"{owned(dead)}P1-A01-1-x")


def test_what_a_living_process_has_stays(tmp_path: Path) -> None:
    mine = fresh(tmp_path, "P1-A01-1")
    assert mine.name.startswith(f"{owned(os.getpid())}P1-A01-1-")
    sweep(tmp_path)
    assert mine.exists()


@pytest.mark.parametrize("part", ["boot", "number"])
def test_what_another_container_of_that_host_name_has_stays(
    tmp_path: Path, dead: int, part: str
) -> None:
    theirs = own()._replace(**{part: "abcdef12"})
    assert _left_by_sweeping(tmp_path, f"{owned(dead, theirs)}P1-A01-1-x")


def test_what_this_machine_had_before_its_start_goes(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = own()._replace(number=f"{OUTSIDE:x}")
    monkeypatch.setattr(namespace, "own", lambda: ours)
    name = f"{owned(os.getpid(), ours._replace(boot='abcdef12'))}P1-"
    started = psutil.boot_time()
    assert not _left_by_sweeping(tmp_path, f"{name}old", started - 10)
    assert _left_by_sweeping(tmp_path, f"{name}new", started + 10)  # of another machine
    theirs = f"{owned(dead, ours._replace(boot='abcdef12', host='f' * 8))}P1-"
    assert _left_by_sweeping(tmp_path, f"{theirs}old", started - 10)


@pytest.mark.parametrize("name", ["cpengine-cache-0", "cpengine-1@elsewhere-P1-x", "x"])
def test_what_has_another_name_stays(tmp_path: Path, name: str) -> None:
    assert _left_by_sweeping(tmp_path, name)


def test_a_name_leaves_room_for_that_of_a_job() -> None:
    assert len(owned(4194304)) + len("-12345678") <= 91


IN_A_CONTAINER = """
import sys, time
from pathlib import Path
from cpengine.system.scratch import fresh, owned, sweep

shared = Path(sys.argv[1])
fresh(shared, "inside")
sweep(shared)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.services
def test_two_containers_of_one_host_name_leave_each_other_s_work_alone(
    tmp_path: Path,
) -> None:
    outside = fresh(tmp_path, "outside")
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with subprocess.Popen(
        [*command, sys.executable, "-c", IN_A_CONTAINER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as container:
        assert container.stdout is not None
        assert container.stdout.readline() == "ready\n"
        sweep(tmp_path)
        container.kill()
    names = [
        folder.name.rpartition("-")[0].rpartition("-")[2]
        for folder in tmp_path.iterdir()
    ]
    assert sorted(names) == ["inside", "outside"]
    assert outside.exists()
