"""The seven steps of Distributed-CellProfiler, as data.

Source: `run_batch_general.py` 2.2.1.
"""

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cpengine.config.layout import OutputKind
from cpengine.plates import SITE_KEYS

BY_PLATE, BY_WELL = SITE_KEYS[:1], SITE_KEYS[:2]

LOAD_DATA = "load_data.csv"
WITH_ILLUM = "load_data_with_illum.csv"
UNPROJECTED = "load_data_unprojected.csv"
MADE_OF = {WITH_ILLUM: (LOAD_DATA, UNPROJECTED), LOAD_DATA: (UNPROJECTED,)}
"""Of what a table can be made that is not there, the nearest first."""
BATCH_FILE = "Batch_data.h5"
"""As CreateBatchFiles names it."""

GroupSource = Literal["csv", "layout", "batch"]


@dataclass(frozen=True, slots=True)
class DoneRule:
    """By which files Distributed-CellProfiler calls a job done.

    Its settings EXPECTED_NUMBER_FILES, MIN_FILE_SIZE_BYTES and NECESSARY_STRING.
    """

    expected_number_files: int
    min_file_size_bytes: int = 1
    necessary_string: str = ""


@dataclass(frozen=True, slots=True)
class StepKind:
    """What a step is before a project sets anything."""

    name: str
    group: tuple[str, ...]
    pipeline: str
    data_file: str
    batch_file: str
    output: OutputKind
    output_structure: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a project, with every name and place settled.

    Places are keys below the storage root.
    """

    name: str
    group: tuple[str, ...]
    """Metadata columns that make the groups; the pipeline must group by the same.
    None until a batch file is read that says them."""
    source: GroupSource | Literal["list"]
    """Where groups come from: LoadData CSVs, the plate layout, or a batch file. With
    lists of files, which have no groups, it is "list" once the pipeline is read."""
    pipeline: str
    data_folder: str
    """The folder with one folder of LoadData CSVs a plate."""
    data_file: str
    """The CSV's name in that folder; with `source="batch"` the batch file's key."""
    input: str
    images_in_input: bool
    """Whether the default input folder is the user's, so that images may be in it."""
    output: str
    output_structure: str
    ledger: str
    timeout_s: float | None = None
    stall_s: float | None = None
    memory_gb: float | None = None
    plugins: str | None = None
    shared: bool = False
    """Whether another step puts its results into the same folders."""
    job_file: Path | None = None
    """The job file of Distributed-CellProfiler that lists the groups, if one does."""
    dcp_done: DoneRule | None = None
    """How results that Distributed-CellProfiler made are recognised, if they are."""

    def data_key(self, folder: str) -> str:
        """The key of the table in a plate's folder, or beside those folders."""
        if self.source == "batch":
            return self.data_file
        return posixpath.join(self.data_folder, folder, self.data_file)

    def folder_of(self, key: str) -> str:
        """The name of a table's folder; empty for one beside those of plates."""
        if self.source == "batch":
            return ""
        return posixpath.dirname(key).removeprefix(self.data_folder).strip("/")


STEPS = {
    kind.name: kind
    for kind in (
        StepKind(
            "zproj",
            SITE_KEYS,
            "Zproj.cppipe",
            UNPROJECTED,
            "Batch_data_zproj.h5",
            "zproj",
            "Metadata_Plate",
        ),
        StepKind("qc", BY_WELL, "qc.cppipe", LOAD_DATA, "Batch_data_qc.h5", "qc"),
        StepKind(
            "qc_persite", SITE_KEYS, "qc.cppipe", LOAD_DATA, "Batch_data_qc.h5", "qc"
        ),
        StepKind(
            "illum", BY_PLATE, "illum.cppipe", LOAD_DATA, "Batch_data_illum.h5", "illum"
        ),
        StepKind(
            "assaydev",
            BY_WELL,
            "assaydev.cppipe",
            WITH_ILLUM,
            "Batch_data_assaydev.h5",
            "assaydev",
        ),
        StepKind(
            "assaydev_persite",
            SITE_KEYS,
            "assaydev.cppipe",
            WITH_ILLUM,
            "Batch_data_assaydev.h5",
            "assaydev",
        ),
        StepKind(
            "analysis",
            SITE_KEYS,
            "analysis.cppipe",
            WITH_ILLUM,
            "Batch_data_analysis.h5",
            "analysis",
            "Metadata_Plate/analysis/Metadata_Plate-Metadata_Well-Metadata_Site",
        ),
    )
}
"""The built-in steps by name, in the order the handbook runs them."""
