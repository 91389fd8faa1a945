"""A table that cpengine made is made again when its source changes; a user's is not."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.planning.plan import Plan
from cpengine.planning.table_origins import How, Origin, digest_of, place_of
from cpengine.project import Project
from tests import build
from tests.build import Built, change
from tests.planning.test_derive import CSVS, PLAIN, RAW, rows
from tests.services.disk import Disk, disk
from tests.services.other_user import OtherUser, other_user

__all__ = ["disk", "other_user"]

HEADER = f"{PLAIN},Metadata_Compound"
ROWS = f"{HEADER}\na1.tif,{RAW},P1,A01,1,x\na2.tif,{RAW},P1,A02,1,y\n"
NEW = f"b1.tif,{RAW},P1,B01,1,z\n"
CHANGED = "lists other sites than load_data.csv (without 1 of its 3), which has changed"
KEEP = '[check]\ncsv-outdated = "off"\n'


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project with illumination functions and a load_data.csv without them."""
    made = build.project(tmp_path / "project")
    rows(made, ROWS)
    return made


@pytest.fixture
def made(built: Built) -> Built:
    """The project after a run, which has written the table with functions."""
    assert ran(built).derived
    return built


def plain(built: Built) -> Path:
    return built.csv.with_name("load_data.csv")


def ran(built: Built, step: str = "analysis") -> Plan:
    """The plan of a step whose tables were then written, as by a run."""
    project = built.project()
    plan = project.plan(step)
    project.write_derived(plan)
    return plan


def ids(plan: Plan) -> list[str]:
    return [job.id for job in plan.jobs]


def add(path: Path, more: str = NEW) -> None:
    path.write_text(path.read_text() + more)


def refusal(built: Built) -> str:
    with pytest.raises(InputError) as error:
        built.project().plan("analysis")
    return str(error.value)


def moved(built: Built, folder: Path) -> Built:
    """The project after its folder was moved."""
    shutil.move(built.root, folder)
    places = {
        name: folder / getattr(built, name).relative_to(built.root)
        for name in ("toml", "pipeline", "csv", "images", "illum", "batch_files")
    }
    return replace(built, root=folder, **places)


# What cpengine made


def test_a_table_and_what_is_known_of_it_are_on_the_disk_when_they_have_names(
    built: Built, disk: Disk
) -> None:
    ran(built)
    (origin,) = built.root.rglob("cpengine/B1/.tables/*")
    for path in (built.csv, origin):
        assert disk.lasts(path, when=path.name)
        assert disk.lasts(path.parent)
    assert disk.lasts(origin, when=built.csv.name)  # else the table were the user's


def test_what_cpengine_made_stays_as_it_is(made: Built) -> None:
    plan = made.project().plan("analysis")
    assert (plan.derived, plan.taken, plan.notes) == ({}, {}, ())


def test_rows_that_are_added_to_the_source_are_planned(made: Built) -> None:
    add(plain(made))
    plan = ran(made)
    assert ids(plan) == ["P1-A01-1", "P1-A02-1", "P1-B01-1"]
    assert list(plan.derived) == [f"{CSVS}/P1/load_data_with_illum.csv"]
    assert "b1.tif" in made.csv.read_text()
    again = made.project().plan("analysis")
    assert (again.derived, again.jobs) == ({}, plan.jobs)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda path: change(path, "a1.tif", "c1.tif"), "c1.tif"),
        (lambda path: change(path, "P1,A02", "P1,C02"), "C02"),
        (lambda path: change(path, "1,x", "1,w"), ",w,"),
        (lambda path: path.write_text(ROWS.replace("DNA", "RNA")), "IllumRNA"),
    ],
)
def test_whatever_changes_in_the_source_comes_into_the_table(
    edit: Callable[[Path], None], text: str, made: Built
) -> None:
    (made.illum / "P1_IllumDNA.npy").unlink()
    edit(plain(made))
    project = made.project()
    plan = project.plan("analysis", unchecked=True)
    project.write_derived(plan)
    assert text in made.csv.read_text()


def test_functions_that_have_appeared_since_are_added(built: Built) -> None:
    two = ROWS.replace("DNA", "RNA").splitlines()
    text = "\n".join(
        f"{line},{other.split(',', 2)[0]},{other.split(',', 2)[1]}"
        for line, other in zip(ROWS.splitlines(), two, strict=True)
    )
    rows(built, f"{text}\n")
    ran(built)
    assert "IllumRNA" not in built.csv.read_text()
    (built.illum / "P1_IllumRNA.npy").write_text("function")
    ran(built)
    assert "P1_IllumRNA.npy" in built.csv.read_text()
    before = built.csv.read_text()
    (built.illum / "P1_IllumRNA.npy").unlink()  # to save room, say
    assert ran(built).derived == {}
    assert built.csv.read_text() == before


def test_the_projected_table_is_made_again_and_what_is_made_of_it(
    built: Built,
) -> None:
    plain(built).unlink()
    stacks = built.csv.with_name("load_data_unprojected.csv")
    planes = "".join(f"s1p{n}.tif,{RAW},P1,A01,1,{n}\n" for n in (1, 2))
    build.write(stacks, f"{PLAIN},Metadata_PlaneID\n{planes}")
    build.write(built.pipeline.with_name("illum.cppipe"), build.pipeline_text("Plate"))
    change(built.pipeline.with_name("illum.cppipe"), "IllumDNA", "OrigDNA")
    ran(built)  # of a projected table that is not written yet
    ran(built, "illum")
    assert ran(built).derived == ran(built, "illum").derived == {}
    add(stacks, f"s2p1.tif,{RAW},P1,A02,1,1\n")
    assert ids(ran(built)) == ["P1-A01-1", "P1-A02-1"]
    assert list(ran(built, "illum").derived) == [f"{CSVS}/P1/load_data.csv"]
    assert "s2p1.tif" in plain(built).read_text()
    assert ran(built).derived == ran(built, "illum").derived == {}


def test_a_run_that_was_killed_before_it_wrote_the_table_makes_it_again(
    made: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made.csv.read_text()
    add(plain(made))
    ran(made)
    made.csv.write_text(before)  # only what tells of the new one was written
    assert ids(ran(made)) == ["P1-A01-1", "P1-A02-1", "P1-B01-1"]
    assert "b1.tif" in made.csv.read_text()


def test_a_project_that_was_moved_knows_its_tables(made: Built, tmp_path: Path) -> None:
    before = ids(made.project().plan("analysis"))
    there = moved(made, tmp_path / "elsewhere")
    plan = there.project().plan("analysis")
    assert (plan.derived, ids(plan)) == ({}, before)
    add(plain(there))
    assert len(ran(there).jobs) == 3


def test_a_table_without_its_source_counts(made: Built) -> None:
    plain(made).unlink()
    plan = made.project().plan("analysis")
    assert (plan.derived, len(plan.jobs), plan.notes) == ({}, 2, ())


def test_a_table_that_was_put_there_meanwhile_is_not_overwritten(built: Built) -> None:
    project = built.project()
    plan = project.plan("analysis")
    built.csv.write_text(ROWS)
    assert project.write_derived(plan) == []
    assert built.csv.read_text() == ROWS


# What the user made or changed


def test_a_table_that_the_user_changed_is_taken_while_its_source_stays(
    made: Built,
) -> None:
    text = made.csv.read_text()
    made.csv.write_text("".join(text.splitlines(keepends=True)[:2]))
    plan = made.project().plan("analysis")
    assert ids(plan) == ["P1-A01-1"]
    (note,) = plan.notes
    assert "lists other sites than load_data.csv (without 1 of its 2)" in note


def test_a_table_that_the_user_changed_is_an_error_when_its_source_changes(
    made: Built,
) -> None:
    change(made.csv, "1,x", "1,mine")
    add(plain(made))
    assert refusal(made) == (
        f"{made.csv}: {CHANGED} since this table was last used: remove it to have it "
        'made again, or set check.csv-outdated = "off" to take it as it is'
    )
    assert made.project().plan("analysis", unchecked=True)
    made.csv.unlink()
    assert len(ran(made).jobs) == 3
    assert made.project().plan("analysis").notes == ()


def test_what_the_user_takes_is_asked_about_once(made: Built) -> None:
    change(made.csv, "1,x", "1,mine")
    add(plain(made))
    before = made.toml.read_text()
    made.toml.write_text(f"{before}{KEEP}")
    assert ids(ran(made)) == ["P1-A01-1", "P1-A02-1"]
    made.toml.write_text(before)
    notes = made.project().plan("analysis").notes
    assert ["lists other sites" in note for note in notes] == [True, False]
    assert "has other values of Metadata_Compound than load_data.csv" in notes[1]
    add(plain(made), NEW.replace("b1", "b2").replace("B01", "B02"))
    assert "(without 2 of its 4), which has changed since" in refusal(made)


@pytest.fixture
def own(built: Built) -> Built:
    """A project whose user made both tables, one without a site that is bad."""
    made = built.project().plan("analysis").derived
    (table,) = made.values()
    build.write(built.csv, table.to_csv())
    change(built.csv, built.csv.read_text().splitlines(keepends=True)[-1], "")
    return built


def test_a_table_of_the_users_may_list_fewer_sites(own: Built) -> None:
    for plan in (own.project().plan("analysis"), ran(own), ran(own)):
        assert ids(plan) == ["P1-A01-1"]
        (note,) = plan.notes
        assert note.startswith(f"{own.csv}: lists other sites than load_data.csv")
        assert note.endswith("remove it to have it made again")


def test_a_table_of_the_users_is_an_error_once_its_source_has_changed(
    own: Built,
) -> None:
    ran(own)
    add(plain(own))
    assert "(without 2 of its 3), which has changed since" in refusal(own)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("a1.tif", "c1.tif", "names other files for OrigDNA than load_data.csv, which"),
        ("OrigDNA", "OrigRNA", "has no OrigRNA, unlike load_data.csv, which has"),
        (
            f"{RAW},P1,A01",
            f"{RAW}/again,P1,A01",
            "names other folders for OrigDNA than load_data.csv, which has changed",
        ),
        ("1,x", "1,w", "has other values of Metadata_Compound than load_data.csv, "),
    ],
)
def test_other_images_or_metadata_in_the_source_are_an_error_too(
    old: str, new: str, says: str, built: Built
) -> None:
    (table,) = built.project().plan("analysis").derived.values()
    build.write(built.csv, table.to_csv())
    ran(built)
    plain(built).write_text(ROWS.replace(old, new))
    assert says in refusal(built)


def test_what_is_as_its_source_is_no_error_whatever_has_changed(built: Built) -> None:
    (table,) = built.project().plan("analysis").derived.values()
    build.write(built.csv, table.to_csv())
    ran(built)
    plain(built).write_text(ROWS.replace("Compound", "Batch"))  # only one has it
    assert built.project().plan("analysis").notes == ()
    plain(built).write_text(ROWS)
    add(plain(built))
    add(built.csv, f"b1.tif,{RAW},P1,B01,1,z,P1_IllumDNA.npy,{built.illum}\n")
    assert ids(ran(built)) == ["P1-A01-1", "P1-A02-1", "P1-B01-1"]


def test_a_source_that_cannot_be_read_does_not_matter_to_a_users_table(
    own: Built,
) -> None:
    plain(own).write_text("no,table\n")
    assert ids(own.project().plan("analysis")) == ["P1-A01-1"]


def test_steps_of_a_batch_know_the_same_tables(made: Built) -> None:
    build.write(made.pipeline.with_name("assaydev.cppipe"), build.pipeline_text())
    add(plain(made))
    change(made.pipeline.with_name("assaydev.cppipe"), build.SITE, "Plate,Well")
    assert len(ran(made, "assaydev").jobs) == 3
    assert Project.load(made.root).plan("analysis").derived == {}


@pytest.mark.parametrize("own", [True, False])
def test_another_user_cannot_have_a_table_of_the_users_replaced(
    other_user: OtherUser, own: bool
) -> None:
    """By a file that says that cpengine had made it; one's own file counts."""
    built = build.project(other_user.shared / "project")
    rows(built, ROWS)
    ran(built)
    built.csv.write_text(built.csv.read_text().replace(",x", ",mine"))
    edited = built.csv.read_bytes()
    project = built.project()
    folder = project.places.outputs.path(project.layout.ledger(".tables"))
    key = str(built.csv.relative_to(built.root))
    forged = Origin(place_of(key), digest_of(edited), "0" * 16, How.MADE)
    folder.chmod(0o777)
    if own:
        (folder / str(forged)).touch()
    else:
        other_user.run(f"touch '{folder}/{forged}'")
    ran(built)
    assert (built.csv.read_bytes() == edited) is not own
