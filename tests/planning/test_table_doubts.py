"""What is told of a user's table that is not as its source, without a ledger."""

from pathlib import Path

import pytest

from cpengine.rules import Severity
from tests import build
from tests.build import Built, change
from tests.planning.test_derive import PLAIN, RAW, rows

ROWS = f"{PLAIN},Metadata_Dose\na1.tif,{RAW},P1,A01,1,0.50\na2.tif,{RAW},P1,A02,1,1.5\n"


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project whose user made both tables; of a run nothing is known."""
    made = build.project(tmp_path / "project")
    rows(made, ROWS)
    (table,) = made.project().plan("analysis").derived.values()
    build.write(made.csv, table.to_csv())
    return made


def doubts(built: Built) -> dict[str, str]:
    """Causes by rule of the plan's findings, which are all warnings."""
    findings = built.project().plan("analysis").findings
    assert {f.severity for f in findings} <= {Severity.WARNING}
    return {f.rule.name: f.cause for f in findings}


def test_tables_that_are_the_same_have_no_doubts(built: Built) -> None:
    assert doubts(built) == {}


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("a1.tif", "c1.tif", "names other files for OrigDNA than load_data.csv"),
        (RAW, f"{RAW}2", "names other folders for OrigDNA than load_data.csv"),
        (RAW, "/mnt/fast", "names other folders for OrigDNA than load_data.csv"),
        ("1.5", "2.5", "has other values of Metadata_Dose than load_data.csv"),
    ],
)
def test_other_values_are_warned_of_without_a_ledger(
    old: str, new: str, cause: str, built: Built
) -> None:
    change(built.csv, old, new)
    assert doubts(built) == {"csv-other-values": cause}
    build.write(
        built.toml, f'{built.toml.read_text()}[check]\ncsv-other-values = "off"\n'
    )
    assert doubts(built) == {}


def test_other_values_are_found_beside_sites_that_were_left_out(built: Built) -> None:
    last = built.csv.read_text().splitlines(keepends=True)[-1]
    change(built.csv, last, "")
    assert doubts(built).keys() == {"csv-other-sites"}
    change(built.csv, "a1.tif", "c1.tif")
    assert doubts(built).keys() == {"csv-other-sites", "csv-other-values"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.5", "1.50"),  # LoadData reads the same
        (RAW, RAW.removeprefix(f"{build.MOUNT}/")),
        (RAW, "ROOT/projects/proj/raw/"),
        (RAW, "file:ROOT/projects/proj/raw"),
    ],
)
def test_the_same_written_otherwise_is_no_matter(
    old: str, new: str, built: Built
) -> None:
    change(built.csv, old, new.replace("ROOT", str(built.root)))
    assert doubts(built) == {}


@pytest.mark.parametrize("link", ["of the project", "to another disk"])
def test_a_folder_behind_a_link_is_the_same(built: Built, link: str) -> None:
    folder = built.root / "projects/proj/raw"
    named = built.root.with_name("link") / "projects/proj/raw"
    if link == "of the project":
        named.parents[2].symlink_to(built.root)
    else:
        named.mkdir(parents=True)
        folder.symlink_to(named)
    build.write(built.csv, built.csv.read_text().replace(RAW, str(named)))
    assert doubts(built) == {}


def test_a_folder_that_is_mapped_to_the_others_is_the_same(built: Built) -> None:
    built.csv.write_text(built.csv.read_text().replace(RAW, "/mnt/fast"))
    mapped = f'[storage.map]\n"/mnt/fast" = "{built.root}/projects/proj/raw"\n'
    build.write(built.toml, built.toml.read_text() + mapped)
    assert doubts(built) == {}


def test_an_url_is_compared_with_a_folder_and_a_file(built: Built) -> None:
    url = f"{RAW}/a1.tif", f"{RAW}/a2.tif"
    text = built.csv.read_text().replace(
        "FileName_OrigDNA,PathName_OrigDNA", "URL_Orig"
    )
    text = text.replace("URL_Orig", "URL_OrigDNA")
    for place in url:
        text = text.replace(f"{place.rpartition('/')[2]},{RAW}", place)
    built.csv.write_text(text)
    assert doubts(built) == {}
    change(built.csv, url[1], f"{RAW}/other/a2.tif")
    assert doubts(built).keys() == {"csv-other-values"}


def test_rows_in_another_order_are_no_matter(built: Built) -> None:
    head, first, second = built.csv.read_text().splitlines()
    built.csv.write_text(f"{head}\n{second}\n{first}\n")
    assert doubts(built) == {}


# Functions


def of_batch(built: Built, batch: str) -> None:
    """Let the user's table name the functions of a batch."""
    change(built.csv, "proj/B1/illum", f"proj/{batch}/illum")
    change(built.csv, "proj/B1/illum", f"proj/{batch}/illum")


def test_functions_of_another_batch_are_warned_of(built: Built) -> None:
    of_batch(built, "B0")
    assert doubts(built) == {
        "csv-illum-elsewhere": "names illumination functions of other folders than "
        f"{built.illum}, where the illum step's are"
    }


def test_functions_of_another_batch_are_no_matter_without_own_ones(
    built: Built,
) -> None:
    of_batch(built, "B0")
    (built.illum / "P1_IllumDNA.npy").unlink()
    assert doubts(built) == {}
