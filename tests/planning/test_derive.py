"""CSVs that lie between steps are made when missing, never over the user's own."""

from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.inputs.loaddata import parse
from cpengine.planning import derive
from cpengine.planning.plan import Plan
from tests import build
from tests.build import Built, change

CSVS = "projects/proj/workspace/load_data_csv/B1"
PLAIN = "FileName_OrigDNA,PathName_OrigDNA,Metadata_Plate,Metadata_Well,Metadata_Site"
RAW = "/home/ubuntu/bucket/projects/proj/raw"


def rows(built: Built, text: str, name: str = "load_data.csv") -> None:
    """Put a CSV of that name in the place of the one that was built."""
    built.csv.unlink(missing_ok=True)
    build.write(built.csv.with_name(name), text)


def stack(folder: str = RAW) -> str:
    planes = "".join(f"s1p{n}.tif,{folder},P1,A01,1,{n}\n" for n in (1, 2, 3))
    return f"{PLAIN},Metadata_PlaneID\n{planes}"


def derived(plan: Plan, name: str, plate: str = "P1") -> tuple[str, ...]:
    """The first image set of a CSV that a plan would make, without the metadata."""
    table = plan.derived[f"{CSVS}/{plate}/{name}"]
    chosen = [n for n in table.header if not n.startswith("Metadata_")]
    return tuple(table.rows[0][table.index[n]] for n in chosen)


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project with illumination functions, and a load_data.csv without them."""
    made = build.project(tmp_path)
    rows(made, f"{PLAIN}\na.tif,{RAW},P1,A01,1\n")
    return made


def test_csv_that_is_there_is_not_derived(tmp_path: Path) -> None:
    assert build.project(tmp_path).project().plan("analysis").derived == {}


def test_csv_with_functions_is_made_from_the_plain_one(built: Built) -> None:
    plan = built.project().plan("analysis")
    assert derived(plan, "load_data_with_illum.csv") == (
        "a.tif",
        RAW,
        "P1_IllumDNA.npy",
        "/home/ubuntu/bucket/projects/proj/B1/illum/P1",
    )


def test_functions_are_below_the_folder_where_the_images_are_local(
    built: Built,
) -> None:
    change(built.csv.with_name("load_data.csv"), RAW, "/images")
    plan = built.project().plan("analysis")
    assert derived(plan, "load_data_with_illum.csv")[3] == str(built.illum)


def test_functions_are_expected_where_the_illum_step_puts_them(built: Built) -> None:
    build.write(built.toml, build.project_file() + '[steps.illum]\noutput = "out"\n')
    plan = built.project().plan("analysis")
    assert derived(plan, "load_data_with_illum.csv")[3] == "/home/ubuntu/bucket/out/P1"


def test_all_functions_are_expected_before_illum_has_run(built: Built) -> None:
    (built.illum / "P1_IllumDNA.npy").unlink()
    plan = built.project().plan("analysis")
    assert derived(plan, "load_data_with_illum.csv")[2] == "P1_IllumDNA.npy"


def test_function_that_illum_did_not_make_is_missed(built: Built) -> None:
    (built.illum / "P1_IllumDNA.npy").rename(built.illum / "P1_IllumER.npy")
    with pytest.raises(InputError, match="no columns for IllumDNA, which module 2"):
        built.project().plan("analysis")


def test_projected_csv_is_made_from_the_stacks(tmp_path: Path) -> None:
    built = build.project(tmp_path, pipeline="qc.cppipe", tags="Plate,Well")
    build.change(built.pipeline, "IllumDNA", "OrigDNA")
    rows(built, stack(), "load_data_unprojected.csv")
    assert derived(built.project().plan("qc"), "load_data.csv") == (
        "s1p3.tiff",
        "/home/ubuntu/bucket/projects/proj/B1/images_projected/P1",
    )


def test_each_timepoint_has_a_projection() -> None:
    header = [f"Metadata_{name}" for name in ("Plate", "Well", "Site")]
    header += ["Metadata_TimepointID", "Metadata_PlaneID"]
    header += ["FileName_OrigDNA", "PathName_OrigDNA"]
    made = [
        ["P1", "A01", "1", t, p, f"t{t}p{p}.tif", "/images"] for t in "12" for p in "12"
    ]
    found = derive.projected(build.table(header, *made), lambda plate: "/projected")
    assert found.column("FileName_OrigDNA") == ["t1p2.tiff", "t2p2.tiff"]


def test_csv_with_functions_is_made_from_the_stacks(built: Built) -> None:
    (built.csv.with_name("load_data.csv")).unlink()
    rows(built, stack(), "load_data_unprojected.csv")
    plan = built.project().plan("analysis")
    assert derived(plan, "load_data_with_illum.csv") == (
        "s1p3.tiff",
        "/home/ubuntu/bucket/projects/proj/B1/images_projected/P1",
        "P1_IllumDNA.npy",
        "/home/ubuntu/bucket/projects/proj/B1/illum/P1",
    )


def test_plain_csv_comes_before_the_stacks(built: Built) -> None:
    rows(built, stack(), "load_data_unprojected.csv")
    plan = built.project().plan("analysis")
    assert derived(plan, "load_data_with_illum.csv")[0] == "a.tif"


def test_plan_writes_nothing(built: Built) -> None:
    before = set(built.root.rglob("*"))
    built.project().plan("analysis")
    assert set(built.root.rglob("*")) == before


def test_derived_csv_is_written_as_it_was_planned(built: Built) -> None:
    project = built.project()
    plan = project.plan("analysis")
    (key,) = project.write_derived(plan)
    path = built.root / key
    assert path == built.csv
    written, planned = parse(path.read_text(), str(path)), plan.derived[key]
    assert (written.header, written.rows) == (planned.header, planned.rows)


def test_plan_is_the_same_once_the_derived_csv_is_written(built: Built) -> None:
    project = built.project()
    plan = project.plan("analysis")
    project.write_derived(plan)
    assert project.plan("analysis").jobs == plan.jobs


def test_users_csv_is_never_changed(built: Built) -> None:
    path = built.csv.with_name("load_data.csv")
    before = path.read_bytes()
    project = built.project()
    project.write_derived(project.plan("analysis"))
    assert path.read_bytes() == before


def test_csv_of_a_name_of_ones_own_is_never_derived(built: Built) -> None:
    rows(built, stack(), "load_data_unprojected.csv")
    toml = build.project_file() + '[steps.analysis]\ndata_file = "mine.csv"\n'
    build.write(built.toml, toml)
    with pytest.raises(
        InputError, match=r"/P1/mine\.csv: is not there \(its folder has load_data\.csv"
    ):
        built.project().plan("analysis")


def test_error_in_the_plain_csv_names_the_plain_csv(built: Built) -> None:
    change(built.csv.with_name("load_data.csv"), "A01,1", "A01")
    with pytest.raises(InputError, match=r"/load_data\.csv:2: has 4 values for 5"):
        built.project().plan("analysis")


def test_functions_for_other_sites_than_the_images_are_noted(built: Built) -> None:
    table = built.csv.with_name("load_data_with_illum.csv")
    made = built.project().plan("analysis").derived
    build.write(table, next(iter(made.values())).to_csv())
    assert built.project().plan("analysis").notes == ()
    change(table, ",P1,A01,1", ",P1,A01,2")
    (note,) = built.project().plan("analysis").notes
    assert note.startswith(f"{table}: lists other sites than load_data.csv")
