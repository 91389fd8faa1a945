"""The sections that say what is run on which images."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool

from cpengine.config.forms import (
    KERNEL,
    MOST_FAILURES,
    ROW,
    Count,
    Gigabytes,
    Key,
    Metadata,
    Minutes,
    Name,
    Section,
    Value,
)
from cpengine.config.steps import GroupSource
from cpengine.plates import SHAPES, row_name
from cpengine.storage import upload_flags


class ProjectSection(Section):
    """Which images."""

    name: Name = Field(description="The project's folder name.")
    app_name: Name | None = Field(
        None, description="A shorter name for queues and clusters. Default: name."
    )
    batch: Name = Field(description="The batch's folder name.")
    plates: Annotated[list[Value], Field(min_length=1)] | Literal["all"] = Field(
        "all", description="Plate names, or 'all' for those with a LoadData CSV."
    )


def _checked_flags(flags: str) -> str:
    upload_flags.parse(flags)
    return flags


class S3Section(Section):
    """How S3 buckets are reached."""

    endpoint: Key | None = Field(
        None, description="The server's address, where it is not Amazon's."
    )
    profile: Key | None = Field(
        None, description="The AWS profile. Default: as the AWS command line has it."
    )
    region: Key | None = Field(
        None, description="The AWS region. Default: as the AWS command line has it."
    )
    anonymous: bool = Field(
        False, description="Without credentials, for public buckets."
    )
    requester_pays: bool = Field(
        False, description="Pay for requests to buckets that ask for it."
    )
    upload_flags: Annotated[str, AfterValidator(_checked_flags)] = Field(
        "",
        description="UPLOAD_FLAGS: options of `aws s3 cp` for all that is written, "
        "such as '--acl bucket-owner-full-control'.",
    )


class StorageSection(Section):
    """Where the project is."""

    root: str = Field(
        ".",
        description="What stands for the bucket: a folder, relative to this file, or "
        "an address such as 's3://bucket/folder'.",
    )
    images: Key | None = Field(
        None, description="The root of images, where that is another. Only read."
    )
    workspace: Key | None = Field(
        None,
        description="The root of pipelines, CSVs, batch files, rules and plugins, "
        "where that is another.",
    )
    outputs: Key | None = Field(
        None, description="The root of results and ledger, where that is another."
    )
    layout: Literal["default", "cpg"] = Field(
        "default",
        description="Path style: 'default', or 'cpg' (Cell Painting Gallery).",
    )
    source: str = Field(
        "", description="The folder under the project, for layout 'cpg' only."
    )
    map: dict[Key, Key] = Field(
        {},
        description="Beginnings of places in CSVs, and the folder or address that "
        "stands for each.",
    )
    s3: S3Section = Field(
        S3Section(), description="How buckets are reached, but for `buckets`."
    )
    buckets: dict[Key, S3Section] = Field(
        {}, description="The same for one bucket, by its name, instead of `s3`."
    )
    cache_gb: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        10.0,
        description="How much of files that many jobs share is kept in the scratch "
        "folder, once fetched.",
    )


class PlateSection(Section):
    """The plate's layout, for steps with groups = 'layout'."""

    format: Literal[96, 384] | None = Field(
        None, description="Sets rows and columns: 96 or 384 wells."
    )
    rows: list[Annotated[str, Field(pattern=ROW)]] = Field(
        [row_name(row) for row in range(SHAPES[384][0])],
        min_length=1,
        description="Row letters.",
    )
    columns: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        list(range(1, SHAPES[384][1] + 1)), min_length=1, description="Column numbers."
    )
    wells: list[Value] = Field(
        [], description="Wells as the CSV writes them; instead of rows and columns."
    )
    excluded_wells: list[Value] = Field([], description="Wells to leave out.")
    sites: (
        Annotated[int, Field(ge=1, le=10_000)]
        | Annotated[list[Annotated[int, Field(ge=0, le=10**9)]], Field(min_length=1)]
    ) = Field(9, description="How many sites a well has, or their numbers.")
    pad_wells: bool = Field(True, description="A01 (true) or A1 (false).")


class DcpDoneSection(Section):
    """When results without a marker count as done by Distributed-CellProfiler."""

    expected_number_files: Count = Field(
        description="EXPECTED_NUMBER_FILES: so many files, or more."
    )
    min_file_size_bytes: Annotated[int, Field(ge=0, le=10**15)] = Field(
        1, description="MIN_FILE_SIZE_BYTES: smaller files do not count."
    )
    necessary_string: str = Field(
        "", description="NECESSARY_STRING: files without it in their name do not count."
    )


class StepSection(Section):
    """What differs from a step's defaults. Places are below the root, or absolute."""

    pipeline: Key | None = Field(None, description="The pipeline's file name.")
    pipeline_path: Key | None = Field(None, description="The pipeline's folder.")
    data_file: Key | None = Field(
        None,
        description="The file name of the LoadData table (.csv, .csv.gz, .parquet), or "
        "of a list of files (.txt).",
    )
    data_path: Key | None = Field(
        None, description="The folder with one folder of CSVs a plate."
    )
    batch_file: Key | None = Field(None, description="The batch file's name.")
    batch_path: Key | None = Field(None, description="The batch file's folder.")
    input: Key | None = Field(None, description="CellProfiler's input folder.")
    output: Key | None = Field(None, description="The folder that gets the results.")
    output_structure: str | None = Field(
        None,
        description="Folders below output, with Metadata_ names for values; "
        "empty: the group's values joined by '-'.",
    )
    group: list[Metadata] | None = Field(
        None,
        description="Metadata columns that make the groups. Empty: a job a table, for "
        "pipelines that do not group.",
    )
    groups: GroupSource = Field(
        "csv", description="Where groups come from: 'csv', 'layout' or 'batch'."
    )
    job_file: Key | None = Field(
        None,
        description="A job file of Distributed-CellProfiler, relative to this file: "
        "its groups alone make jobs. Then data_path is the CSV's own folder.",
    )
    timeout_min: Annotated[Minutes, Field(gt=0)] | None = Field(
        None, description="Minutes after which a job is ended. Default: no limit."
    )
    stall_min: Minutes = Field(
        15.0,
        description="Minutes without log line and without CPU time after which a job "
        "is ended as stalled; 0: never.",
    )
    memory_gb: Gigabytes | None = Field(
        None,
        description="Memory that one job may use; more ends it as out_of_memory. "
        "Default: no limit.",
    )
    plugins: Key | None = Field(None, description="CellProfiler's plugins folder.")
    dcp_done: DcpDoneSection | None = Field(
        None,
        description="Take results of Distributed-CellProfiler for done, by its rule.",
    )


class CellProfilerSection(Section):
    """Which CellProfiler runs the jobs."""

    path: Key | None = Field(
        None, description="A cellprofiler program. Default: see the how-to."
    )
    image: Key | None = Field(
        None,
        description="Instead of path: a container image, or the path of a .sif file.",
    )
    runtime: Literal["docker", "podman", "apptainer", "singularity"] | None = Field(
        None, description="What runs the image. Default: the first of them on PATH."
    )
    mounts: list[Key] = Field(
        [],
        description="Folders outside the storage roots that a container gets to read.",
    )
    jobs_per_process: Count = Field(
        200,
        description="A CellProfiler process is replaced after so many jobs. 1: each "
        "job starts a process of its own.",
    )
    process_memory_gb: Gigabytes = Field(
        2.0,
        description="A CellProfiler process that holds more than this after a job is "
        "replaced.",
    )
    exact: StrictBool | list[str] = Field(
        True,
        description="Exact accelerations of CellProfiler's modules, which keep every "
        "byte of the results: all, none, or those named.",
    )
    blas_kernel: Annotated[str, Field(pattern=KERNEL)] | None = Field(
        None,
        description="The code of OpenBLAS that CellProfiler's numpy uses on every "
        "machine (OPENBLAS_CORETYPE), such as Haswell; results differ between two. "
        "Default: what OpenBLAS takes for the processor.",
    )


class RunSection(Section):
    """What holds for every run."""

    max_failures: Annotated[int, Field(ge=1, le=MOST_FAILURES)] | None = Field(
        None,
        description="Stop a step when so many jobs have failed. Default: when the "
        "first ten that ended have all failed.",
    )
    notify: Key | None = Field(
        None,
        description="A webhook's address (Slack, Mattermost, Discord), or one of "
        "apprise (`mailto://`, `tgram://`...), that is told of ends, many failures "
        "and standstill. It is a secret: the environment's CPENGINE_NOTIFY keeps it "
        "out of this file.",
    )
