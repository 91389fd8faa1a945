"""Breaches of the Gallery's structure are named with a cure; a sound tree has none."""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.gallery import check
from cpengine.rules import RULES, Finding
from cpengine.storage.store import Storage
from tests.gallery import sound_tree
from tests.gallery.sound_tree import (
    ANALYSIS,
    BACKEND,
    BATCH,
    FULL,
    IMAGES,
    PLATEMAPS,
    PROFILES,
    TABLES,
    WORKSPACE,
)

BR1 = f"{IMAGES}/images/{FULL['BR1']}"
SITE = f"{ANALYSIS}/BR1/analysis/BR1-A01-1"
CSV = f"{TABLES}/BR1/load_data.csv"
WITH_ILLUM = f"{TABLES}/BR1/load_data_with_illum.csv"
BARCODES, MAP = f"{PLATEMAPS}/barcode_platemap.csv", f"{PLATEMAPS}/platemap/MAP.01.txt"
ADDRESS = "s3://cellpainting-gallery/cpg0016-jump/source_4"

Break = Callable[[Path], object]


def remove(key: str) -> Break:
    def change(source: Path) -> None:
        path = source / key
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def rename(key: str, name: str) -> Break:
    return lambda source: (source / key).rename((source / key).with_name(name))


def add(key: str, text: str = "x") -> Break:
    def change(source: Path) -> None:
        (source / key).parent.mkdir(parents=True, exist_ok=True)
        (source / key).write_text(text)

    return change


def replace(key: str, old: str, new: str) -> Break:
    def change(source: Path) -> None:
        text = (source / key).read_text()
        assert old in text
        (source / key).write_text(text.replace(old, new))

    return change


def compress(key: str, data: bytes) -> Break:
    return lambda source: (source / key).write_bytes(data)


@dataclass(frozen=True)
class Breach:
    """One thing that is broken in a sound tree, and what is to be said of it."""

    rule: str
    place: str
    """The end of the finding's place, below the source."""
    change: Break
    beside: set[str] = field(default_factory=set)
    """Other rules that are broken by it, too."""


BREACHES = {
    # Names and folders
    "a source with a blank": Breach(
        "gallery-name",
        "/source 4",
        lambda source: source.rename(source.with_name("source 4")),
        {"gallery-table-elsewhere"},
    ),
    "a project in capitals": Breach(
        "gallery-project-name",
        "/cpg0016-JUMP",
        lambda source: source.parent.rename(source.parent.with_name("cpg0016-JUMP")),
        {"gallery-table-elsewhere"},
    ),
    "a plate with a blank": Breach(
        "gallery-name", f"{BR1} copy", rename(BR1, f"{FULL['BR1']} copy"),
        {"gallery-table-elsewhere"},
    ),
    "no source": Breach(
        "gallery-no-source",
        "/cpg0016-jump",
        lambda source: [path.rename(source.parent / path.name) for path in
                        list(source.iterdir())] and source.rmdir(),
        {"gallery-table-elsewhere"},
    ),
    "no images": Breach("gallery-folder-missing", "/images", remove("images")),
    "no tables": Breach(
        "gallery-folder-missing", "/load_data_csv",
        remove(f"{WORKSPACE}/load_data_csv"),
    ),
    "no metadata": Breach(
        "gallery-folder-missing", "/metadata", remove(f"{WORKSPACE}/metadata")
    ),
    "no profiles": Breach(
        "gallery-results-missing", WORKSPACE, remove(f"{WORKSPACE}/profiles")
    ),
    "a misspelt folder": Breach(
        "gallery-unknown-folder",
        f"{WORKSPACE}/load_data",
        rename(f"{WORKSPACE}/load_data_csv", "load_data"),
        {"gallery-folder-missing"},
    ),
    "a folder beside images": Breach(
        "gallery-unknown-folder", "/analysis", add("analysis/x.csv")
    ),
    "a folder in a batch": Breach(
        "gallery-unknown-folder", f"{IMAGES}/Illum", add(f"{IMAGES}/Illum/x.npy")
    ),
    "a file of the desktop": Breach(
        "gallery-stray-file", "images/.DS_Store", add("images/.DS_Store")
    ),
    "a file among the plates": Breach(
        "gallery-stray-file", "images/notes.txt", add(f"{IMAGES}/images/notes.txt")
    ),
    # Batches and plates
    "a batch without a date": Breach(
        "gallery-batch-name", "images/Batch2", add("images/Batch2/images/P7/a.tif"),
        {"gallery-batch-tables", "gallery-platemap-missing"},
    ),
    "a batch of a day that never was": Breach(
        "gallery-batch-name", "images/2021_02_30_B",
        add("images/2021_02_30_B/images/P7/a.tif"),
        {"gallery-batch-tables", "gallery-platemap-missing"},
    ),
    "a batch without images": Breach(
        "gallery-batch-images", f"{IMAGES}/images", remove(f"{IMAGES}/images"),
        {"gallery-table-elsewhere"},
    ),
    "a batch without tables": Breach(
        "gallery-batch-tables", "2022_01_01_B2",
        add("images/2022_01_01_B2/images/P/a.tif"),
        {"gallery-platemap-missing"},
    ),
    "a batch of analysis alone": Breach(
        "gallery-batch-unknown", "analysis/2021_04_26_Batch",
        rename(ANALYSIS, "2021_04_26_Batch"),
    ),
    "a plate without tables": Breach(
        "gallery-plate-tables", "images/BR7", add(f"{IMAGES}/images/BR7/a.tif")
    ),
    "a plate without images": Breach(
        "gallery-plate-unknown", f"{TABLES}/BR1", remove(BR1),
        {"gallery-table-elsewhere"},
    ),
    "a plate of profiles by another name": Breach(
        "gallery-plate-unknown", f"{PROFILES}/BRO10",
        rename(f"{PROFILES}/BR10", "BRO10"),
        {"gallery-profiles-files"},
    ),
    "a plate that was imaged twice": Breach(
        "gallery-plate-ambiguous", f"{TABLES}/BR1",
        add(f"{IMAGES}/images/BR1__2021-05-03-Measurement2/a.tif"),
    ),
    # Illumination functions
    "no functions of a plate": Breach(
        "gallery-illum-missing", "illum/BR1", remove(f"{IMAGES}/illum/BR1")
    ),
    "no function of a channel": Breach(
        "gallery-illum-missing", "illum/BR1",
        remove(f"{IMAGES}/illum/BR1/BR1_IllumER.npy"),
    ),
    "a function by another name": Breach(
        "gallery-illum-name", "illum/BR1/BR1_IllumER.mat",
        add(f"{IMAGES}/illum/BR1/BR1_IllumER.mat"),
    ),
    "a function of another plate": Breach(
        "gallery-illum-name", "illum/BR1/BR10_IllumER.npy",
        add(f"{IMAGES}/illum/BR1/BR10_IllumER.npy"),
    ),
    # Tables
    "no table": Breach("gallery-table-missing", CSV, remove(CSV)),
    "no table with functions": Breach(
        "gallery-table-illum", WITH_ILLUM, remove(WITH_ILLUM)
    ),
    "a table that names no functions": Breach(
        "gallery-table-illum", f"{WITH_ILLUM}:1",
        replace(WITH_ILLUM, "URL_Illum", "URL_X"),
    ),
    "another file beside tables": Breach(
        "gallery-table-other-file", f"{TABLES}/BR1/notes.txt",
        add(f"{TABLES}/BR1/notes.txt"),
    ),
    "an empty table": Breach("gallery-empty-file", CSV, add(CSV, "")),
    "a table that is a workbook": Breach(
        "gallery-table-unreadable", CSV, add(CSV, "PK\x03\x04xl/workbook")
    ),
    "a table that is broken": Breach(
        "gallery-table-unreadable", f"{TABLES}/BR10/load_data.csv.gz",
        compress(f"{TABLES}/BR10/load_data.csv.gz", b"\x1f\x8b\x08junk"),
    ),
    "a table of files and folders": Breach(
        "gallery-table-url", f"{CSV}:1", replace(CSV, "URL_OrigDNA", "FileName_OrigDNA")
    ),
    "addresses of another bucket": Breach(
        "gallery-table-address", f"{CSV}:URL_OrigDNA",
        replace(CSV, "s3://cellpainting-gallery", "s3://imaging-platform"),
    ),
    "addresses of another plate": Breach(
        "gallery-table-elsewhere", f"{CSV}:URL_OrigDNA",
        replace(CSV, FULL["BR1"], FULL["BR10"]),
    ),
    "addresses of another project, compressed": Breach(
        "gallery-table-elsewhere", "/load_data.csv.gz:URL_OrigDNA",
        compress(
            f"{TABLES}/BR10/load_data.csv.gz",
            gzip.compress(
                sound_tree.csv_text(sound_tree.rows("BR10", functions=False))
                .replace(b"cpg0016", b"cpg0000")
            ),
        ),
    ),
    "no wells": Breach(
        "gallery-table-well", f"{CSV}:1", replace(CSV, "Metadata_Well", "Metadata_W")
    ),
    "no sites": Breach(
        "gallery-table-metadata", f"{CSV}:1",
        replace(CSV, "Metadata_Site", "Metadata_S"),
    ),
    "a table of another plate": Breach(
        "gallery-table-plate", f"{CSV}:Metadata_Plate", replace(CSV, ",BR1,", ",BR2,")
    ),
    # Results
    "no nested analysis": Breach(
        "gallery-analysis-nesting", f"{ANALYSIS}/BR1",
        rename(f"{ANALYSIS}/BR1/analysis", "BR1-A01-1"),
    ),
    "a site by another name": Breach(
        "gallery-analysis-site", "analysis/A01-1", rename(SITE, "A01-1")
    ),
    "a site without Image.csv": Breach(
        "gallery-analysis-tables", SITE, remove(f"{SITE}/Image.csv")
    ),
    "a site without cells": Breach(
        "gallery-analysis-tables", SITE, remove(f"{SITE}/Cells.csv")
    ),
    "an empty table of cells": Breach(
        "gallery-empty-file", "BR1-A01-1/Cells.csv", add(f"{SITE}/Cells.csv", "")
    ),
    "no single cells": Breach(
        "gallery-backend-files", f"{BACKEND}/BR1", remove(f"{BACKEND}/BR1/BR1.sqlite")
    ),
    "no profile": Breach(
        "gallery-profiles-files", f"{PROFILES}/BR1",
        remove(f"{PROFILES}/BR1/BR1.csv.gz"),
    ),
    "a profile that is not compressed": Breach(
        "gallery-profiles-files", "BR1_augmented.csv",
        add(f"{PROFILES}/BR1/BR1_augmented.csv"),
    ),
    "segmentations of an unknown model": Breach(
        "gallery-segmentation", "cellpose_c632/model/README.md",
        add(f"{WORKSPACE}/segmentation/cellpose_c632/objects/x"),
    ),
    # Metadata
    "no barcodes": Breach("gallery-platemap-missing", BARCODES, remove(BARCODES)),
    "no platemap": Breach("gallery-platemap-missing", MAP, remove(MAP)),
    "a plate without a barcode": Breach(
        "gallery-platemap-plates", BARCODES, replace(BARCODES, "BR10,", "BR11,")
    ),
    "barcodes with other columns": Breach(
        "gallery-platemap-columns", f"{BARCODES}:1", replace(BARCODES, "Assay_", "")
    ),
    "a platemap with commas": Breach(
        "gallery-platemap-columns", f"{MAP}:1", replace(MAP, "\t", ",")
    ),
    "a platemap of another name": Breach(
        "gallery-platemap-name", f"{MAP}:plate_map_name", replace(MAP, "MAP.01", "MAP")
    ),
}  # fmt: skip


def found(source: Path) -> list[Finding]:
    """What is found in a source; in its project where either was renamed."""
    (project,) = source.parent.parent.glob("cpg*")
    place = source if source.is_dir() else project
    return list(check(Storage(str(place))))


def test_a_sound_tree_has_no_finding(tmp_path: Path) -> None:
    source = sound_tree.write(tmp_path)
    assert found(source) == []
    assert list(check(Storage(str(source.parent)))) == [], "from the project's folder"
    assert list(check(Storage(str(source)), batches=[BATCH])) == []


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
def test_a_breach_is_named_with_its_place_and_cure(
    tmp_path: Path, breach: Breach
) -> None:
    source = sound_tree.write(tmp_path)
    breach.change(source)
    findings = found(source)
    named = [f for f in findings if f.rule.name == breach.rule]
    assert any(f.place.endswith(breach.place) for f in named), findings
    assert all(f.cause and f.cure for f in findings)
    assert {f.rule.name for f in findings} - {breach.rule} == breach.beside


def test_each_rule_has_a_breach() -> None:
    rules = {name for name in RULES if name.startswith("gallery-")}
    assert rules == {breach.rule for breach in BREACHES.values()}
    assert len(BREACHES) >= 30


def test_many_of_a_kind_are_one_finding(tmp_path: Path) -> None:
    source = sound_tree.write(tmp_path)
    for path in source.glob(f"{ANALYSIS}/BR1/analysis/*/Cells.csv"):
        path.write_text("")
    (finding,) = found(source)
    assert finding.cause == "is empty (0 bytes) (and 2 more)"


def test_only_the_batches_that_are_asked_for_are_checked(tmp_path: Path) -> None:
    source = sound_tree.write(tmp_path)
    add("images/2022_01_01_B2/x.tif")(source)
    assert found(source)
    assert list(check(Storage(str(source)), batches=[BATCH])) == []
    with pytest.raises(InputError, match="has no batch 2023: correct --batch"):
        list(check(Storage(str(source)), batches=["2023"]))


def test_a_pooled_experiment_has_barcodes_and_cycles(tmp_path: Path) -> None:
    source = sound_tree.write(tmp_path)
    remove(f"{WORKSPACE}/metadata")(source)
    add(f"{WORKSPACE}/metadata/{BATCH}/Barcodes.csv")(source)
    for name in ("BR1_Cycle1_IllumA.npy", "BR1_IllumDNA_Round1.npy"):
        add(f"{IMAGES}/illum/BR1/{name}")(source)
    cropped = "images_corrected_cropped/BR1-Well1-0/CorrDNA/CorrDNA_Site_1.tiff"
    add(f"{IMAGES}/{cropped}")(source)
    rows = sound_tree.rows("BR1", functions=False)
    address = f"{ADDRESS}/{IMAGES}/{cropped}"
    table = sound_tree.csv_text([row | {"URL_OrigDNA": address} for row in rows])
    compress(f"{TABLES}/BR1/load_data_pipeline9.csv", table)(source)
    rename(SITE, "BR1-Well1-0")(source)
    assert found(source) == []


def test_what_is_no_project_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is neither a project"):
        list(check(Storage(str(tmp_path))))
