"""Claims of jobs that no longer exist give way; those of all others stay."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.ledger.claims import Claims
from cpengine.ledger.ledger import Ledger
from cpengine.ledger.past_claims import (
    PastClaims,
    can_meet,
    places_wanted,
    refused_names,
)
from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.storage.filesystems import Access, S3Options
from cpengine.storage.store import Storage
from cpengine.testing import jobs
from tests.publishing import put, set_aside
from tests.services.s3.bucket_server import S3Server
from tests.services.s3.fixtures import bucket, s3, s3_server

__all__ = ["bucket", "s3", "s3_server"]

KEYS = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")
VERSION = {"cellprofiler": "4.2.8.1"}
WRONG = Failure(FailureKind.BAD_INPUT, "x.tif was made by P1-A09-1 already")


def job(plate: str, well: str, structure: str = "Metadata_Plate") -> Job:
    (a_job,) = jobs("A")
    group = tuple(zip(KEYS, (plate, well, "1"), strict=True))
    return replace(a_job, group=group, output_structure=structure)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.services)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    if request.param == "local":
        (tmp_path / "root").mkdir()
        return Ledger(Storage(str(tmp_path / "root")), "ledgers/mine")
    server: S3Server = request.getfixturevalue("s3")
    access = Access(S3Options(endpoint=server.url))
    root = f"s3://{request.getfixturevalue('bucket')}"
    return Ledger(Storage(root, access), "ledgers/mine")


def done(ledger: Ledger, tmp_path: Path, job: Job, files: Iterable[str]) -> None:
    """Publish a job's files, and record it."""
    names = list(files)
    for name in names:
        path = tmp_path / "output" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(job.id)
    (tmp_path / "log").write_text("a line")
    (known,) = ledger.standings([job])
    job = known.job
    put(job, ledger, tmp_path / "output", names, tmp_path / "log")
    sizes = {name: len(job.id) for name in names}
    ledger.record(Outcome(job, files=sizes, versions=VERSION))


def owners(ledger: Ledger, job: Job) -> dict[str, str]:
    claims = Claims.of_job(ledger, job)
    return {file: claims.shown(owner) for file, owner in claims.owners().items()}


def released(ledger: Ledger, all_jobs: Sequence[Job], *, alone: bool = True) -> int:
    standings = ledger.standings(all_jobs)
    places, refused = places_wanted(standings), refused_names(ledger, standings)
    return PastClaims(ledger, all_jobs, places, refused).give_way(lambda: alone)


def test_files_of_a_job_that_is_no_more_can_be_another_jobs(
    ledger: Ledger, tmp_path: Path
) -> None:
    wrong, right, other = job("P1", "A02"), job("P1", "A03"), job("P1", "A01")
    done(ledger, tmp_path, wrong, ["i2.tif", "a/i3.tif"])
    done(ledger, tmp_path, other, ["i1.tif"])
    with pytest.raises(InputError, match=r"i2\.tif was made by P1-A02-1 already"):
        done(ledger, tmp_path, right, ["i2.tif"])
    assert released(ledger, [right, other]) == 2
    assert set(ledger.markers()) == {other.id}
    assert owners(ledger, other) == {"i1.tif": other.id}
    done(ledger, tmp_path, right, ["i2.tif", "a/i3.tif"])
    assert ledger.storage.read_text("out/P1/i2.tif") == right.id
    assert released(ledger, [right, other]) == 0


def test_a_wrong_job_that_comes_back_is_run_again(
    ledger: Ledger, tmp_path: Path
) -> None:
    wrong, right = job("P1", "A02"), job("P1", "A03")
    done(ledger, tmp_path, wrong, ["i2.tif"])
    released(ledger, [right])
    done(ledger, tmp_path, right, ["i2.tif"])
    (standing,) = ledger.standings([wrong])
    assert standing.state == "left"
    assert released(ledger, [wrong]) == 1
    done(ledger, tmp_path, wrong, ["i2.tif"])
    assert ledger.storage.read_text("out/P1/i2.tif") == wrong.id


def test_while_another_run_lives_nothing_gives_way(
    ledger: Ledger, tmp_path: Path
) -> None:
    wrong, right = job("P1", "A02"), job("P1", "A03")
    done(ledger, tmp_path, wrong, ["i2.tif"])
    assert released(ledger, [right], alone=False) == 0
    assert owners(ledger, right) == {"i2.tif": wrong.id}
    assert wrong.id in ledger.markers()


def test_places_that_no_job_has_any_more_are_left_alone(
    ledger: Ledger, tmp_path: Path
) -> None:
    away, stays = job("P1-B", "A01"), job("P1", "A01")
    done(ledger, tmp_path, away, ["i1.tif"])
    done(ledger, tmp_path, stays, ["i1.tif"])
    assert released(ledger, [stays]) == 0
    assert set(ledger.markers()) == {away.id, stays.id}
    assert owners(ledger, away) == {"i1.tif": away.id}


def test_what_a_killed_job_has_claimed_gives_way(
    ledger: Ledger, tmp_path: Path
) -> None:
    killed, other = job("P1", "A01"), job("P1", "A02")
    Claims.of_job(ledger, killed).claim("i.tif")
    gone = job("P1", "A09")  # and left no marker
    Claims.of_job(ledger, gone).claim("j.tif")
    ledger.record(Outcome(other, WRONG, versions=VERSION))
    assert released(ledger, [killed, other]) == 2
    done(ledger, tmp_path, other, ["i.tif", "j.tif"])


def test_results_that_are_being_replaced_stay_their_jobs(
    ledger: Ledger, tmp_path: Path
) -> None:
    mine, gone, left = job("P1", "A01"), job("P1", "A02"), job("P1", "A03")
    done(ledger, tmp_path, mine, ["i.tif"])
    done(ledger, tmp_path, gone, ["j.tif"])
    (known,) = ledger.standings([mine])
    set_aside(ledger, known.job)
    assert released(ledger, [mine, left]) == 1
    assert owners(ledger, mine) == {"i.tif": mine.id}


def test_a_table_with_some_wells_left_out_takes_nothing_from_the_others(
    ledger: Ledger, tmp_path: Path
) -> None:
    wells = [job("P1", well) for well in ("A01", "A02")]
    for number, well in enumerate(wells):
        done(ledger, tmp_path, well, [f"i{number}.tif"])
    assert released(ledger, wells[:1]) == 0
    assert released(ledger, [wells[0], job("P2", "A01")]) == 0
    assert [s.state for s in ledger.standings(wells)] == ["done", "done"]


def test_wells_that_were_swapped_give_way_to_each_other(
    ledger: Ledger, tmp_path: Path
) -> None:
    was = [job("P1", "A02"), job("P1", "A03")]
    is_now = [replace(well, fingerprint="swapped") for well in was]
    for well, file in zip(was, ("i2.tif", "i3.tif"), strict=True):
        done(ledger, tmp_path, well, [file])
    assert released(ledger, is_now) == 0  # nobody knows yet which names they have
    for well, file in zip(is_now, ("i3.tif", "i2.tif"), strict=True):
        with pytest.raises(InputError, match="already") as error:
            done(ledger, tmp_path, well, [file])
        (known,) = ledger.standings([well])
        failure = Failure(FailureKind.BAD_INPUT, str(error.value))
        ledger.record(Outcome(known.job, failure, versions=VERSION))
    assert released(ledger, is_now) == 2
    for well, file in zip(is_now, ("i3.tif", "i2.tif"), strict=True):
        done(ledger, tmp_path, well, [file])
        assert ledger.storage.read_text(f"out/P1/{file}") == well.id
    assert [s.state for s in ledger.standings(is_now)] == ["done", "done"]


def test_bad_input_of_another_kind_takes_nothing_from_earlier_results(
    ledger: Ledger, tmp_path: Path
) -> None:
    mine, gone = job("P1", "A01"), job("P1", "A02")
    done(ledger, tmp_path, mine, ["i.tif"])
    done(ledger, tmp_path, gone, ["j.tif"])
    (known,) = ledger.standings([replace(mine, fingerprint="now")])
    missing = Failure(FailureKind.BAD_INPUT, "a.tif: is missing")
    ledger.record(Outcome(known.job, missing, versions=VERSION))
    assert released(ledger, [known.job]) == 1
    assert owners(ledger, mine) == {"i.tif": mine.id}
    assert [s.state for s in ledger.standings([mine])] == ["done"]


def test_a_kill_leaves_work_to_go_on_with(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, right = job("P1", "A02"), job("P1", "A03")
    done(ledger, tmp_path, wrong, ["i2.tif", "i3.tif"])
    with monkeypatch.context() as patched:
        patched.setattr(Claims, "give_up", _killed)
        with pytest.raises(KeyboardInterrupt):
            released(ledger, [right])
    assert [s.state for s in ledger.standings([wrong])] == ["left"]
    assert released(ledger, [right]) == 2
    assert ledger.markers() == {}


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def of_step(step: str, well: str) -> Job:
    return replace(job("P1", well), step=step, shared=True)


def test_claims_of_another_step_stay(ledger: Ledger, tmp_path: Path) -> None:
    mine, others = of_step("mine", "A02"), of_step("others", "A02")
    done(ledger, tmp_path, mine, ["i.tif"])
    Claims.of_job(replace(ledger, folder="ledgers/others"), others).claim("j.tif")
    assert released(ledger, [of_step("mine", "A03")]) == 1
    assert owners(ledger, mine) == {"j.tif": "others P1-A02-1"}


@pytest.mark.parametrize("well", ["A02", "A03"])
def test_where_steps_share_folders_files_of_the_past_can_be_replaced(
    well: str, ledger: Ledger, tmp_path: Path
) -> None:
    mine, then = of_step("mine", "A02"), of_step("mine", well)
    done(ledger, tmp_path, mine, ["a/i.tif"])
    done(ledger, tmp_path, of_step("mine", "A09"), ["k.tif"])
    (marker,) = ledger.markers()[mine.id]
    if well == "A02":  # as if it had been killed before it was done
        ledger.remove(marker)
    ledger.storage.write("out/P1/j.tif", b"before they shared")
    assert released(ledger, [then]) == 2
    with pytest.raises(InputError, match=r"j\.tif was made by another step"):
        done(ledger, tmp_path, then, ["a/i.tif", "j.tif"])
    done(ledger, tmp_path, then, ["a/i.tif"])
    assert owners(ledger, then) == {"a/i.tif": then.id}


def test_a_job_that_cannot_have_all_its_files_claims_none(
    ledger: Ledger, tmp_path: Path
) -> None:
    first, second = job("P1", "A01"), job("P1", "A02")
    done(ledger, tmp_path, first, ["b.tif"])
    with pytest.raises(InputError, match=r"b\.tif was made by P1-A01-1 already"):
        done(ledger, tmp_path, second, ["a.tif", "b.tif"])
    assert owners(ledger, first) == {"b.tif": first.id}


@pytest.mark.parametrize(
    ("structure", "meets"),
    [
        ("", False),
        ("Metadata_Plate", True),
        ("Metadata_Plate/Metadata_Well-Metadata_Site", False),
        ("all", True),
    ],
)
def test_only_jobs_of_shared_folders_can_meet(structure: str, meets: bool) -> None:
    assert can_meet(job("P1", "A01", structure)) == meets
