"""The project file `cpengine.toml`: its keys, their checks and their messages."""

import difflib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cpengine.errors import ConfigError
from cpengine.steps import STEPS, GroupSource

FILE_NAME = "cpengine.toml"

_NAME, _ROW, _METADATA = r"^[^\s/\\,=.][^\s/\\,=]*$", r"^[A-Z]{1,2}$", r"^Metadata_\w+$"
_WALLTIME = r"^(\d+-)?\d{1,3}:[0-5]\d:[0-5]\d$"
_PATTERNS = {
    _WALLTIME: "write it as HH:MM:SS or D-HH:MM:SS",
    _NAME: "use no blank, slash, comma or equals sign, and no dot at the start",
    _ROW: "use one or two capital letters",
    _METADATA: "write Metadata_ and a name",
}
Name = Annotated[str, Field(pattern=_NAME)]
Key = Annotated[str, Field(min_length=1)]
Metadata = Annotated[str, Field(pattern=_METADATA)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Model = TypeVar("_Model", bound=_Section)


class ProjectSection(_Section):
    """Which images."""

    name: Name = Field(description="The project's folder name.")
    app_name: Name | None = Field(
        None, description="A shorter name for queues and clusters. Default: name."
    )
    batch: Name = Field(description="The batch's folder name.")
    plates: Annotated[list[Name], Field(min_length=1)] | Literal["all"] = Field(
        "all", description="Plate names, or 'all' for those with a LoadData CSV."
    )


class S3Section(_Section):
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


class StorageSection(_Section):
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
    cache_gb: Annotated[float, Field(ge=0)] = Field(
        10.0,
        description="How much of files that many jobs share is kept in the scratch "
        "folder, once fetched.",
    )


class PlateSection(_Section):
    """The plate's layout, for steps with groups = 'layout'."""

    format: Literal[96, 384] | None = Field(
        None, description="Sets rows and columns: 96 or 384 wells."
    )
    rows: list[Annotated[str, Field(pattern=_ROW)]] = Field(
        [chr(ord("A") + i) for i in range(16)],
        min_length=1,
        description="Row letters.",
    )
    columns: list[Annotated[int, Field(ge=1)]] = Field(
        list(range(1, 25)), min_length=1, description="Column numbers."
    )
    wells: list[Name] = Field(
        [], description="Wells as the CSV writes them; instead of rows and columns."
    )
    excluded_wells: list[Name] = Field([], description="Wells to leave out.")
    sites: (
        Annotated[int, Field(ge=1)]
        | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    ) = Field(9, description="How many sites a well has, or their numbers.")
    pad_wells: bool = Field(True, description="A01 (true) or A1 (false).")


class DcpDoneSection(_Section):
    """When results without a marker count as done by Distributed-CellProfiler."""

    expected_number_files: Annotated[int, Field(ge=1)] = Field(
        description="EXPECTED_NUMBER_FILES: so many files, or more."
    )
    min_file_size_bytes: Annotated[int, Field(ge=0)] = Field(
        1, description="MIN_FILE_SIZE_BYTES: smaller files do not count."
    )
    necessary_string: str = Field(
        "", description="NECESSARY_STRING: files without it in their name do not count."
    )


class StepSection(_Section):
    """What differs from a step's defaults. Places are below the root, or absolute."""

    pipeline: Key | None = Field(None, description="The pipeline's file name.")
    pipeline_path: Key | None = Field(None, description="The pipeline's folder.")
    data_file: Key | None = Field(None, description="The LoadData CSV's file name.")
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
        None, min_length=1, description="Metadata columns that make the groups."
    )
    groups: GroupSource = Field(
        "csv", description="Where groups come from: 'csv', 'layout' or 'batch'."
    )
    timeout_min: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Minutes after which a job is ended. Default: no limit."
    )
    stall_min: Annotated[float, Field(ge=0)] = Field(
        15.0,
        description="Minutes without log line and without CPU time after which a job "
        "is ended as stalled; 0: never.",
    )
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Memory that one job may use; more ends it as out_of_memory. "
        "Default: no limit.",
    )
    plugins: Key | None = Field(None, description="CellProfiler's plugins folder.")
    dcp_done: DcpDoneSection | None = Field(
        None,
        description="Take results of Distributed-CellProfiler for done, by its rule.",
    )


class CellProfilerSection(_Section):
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
    jobs_per_process: Annotated[int, Field(ge=1)] = Field(
        200,
        description="A CellProfiler process is replaced after so many jobs. 1: each "
        "job starts a process of its own.",
    )
    process_memory_gb: Annotated[float, Field(gt=0)] = Field(
        2.0,
        description="A CellProfiler process that holds more than this after a job is "
        "replaced.",
    )


class LocalSection(_Section):
    """The `local` executor: processes on this machine."""

    workers: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Jobs at a time. Default: from cores and memory."
    )
    memory_gb: Annotated[float, Field(gt=0)] = Field(
        2.0,
        description="Memory one job is expected to need until some have ended, for "
        "that default.",
    )
    scratch: Key | None = Field(
        None, description="Folder for work in progress. Default: the system's."
    )


class ClusterSection(_Section):
    """An executor that starts its workers as jobs of a cluster's scheduler."""

    profile: Key | None = Field(
        None,
        description="A TOML file with these keys for all projects at a site; keys of "
        "the project file come before its.",
    )
    partition: Key | None = Field(
        None, description="The partition or queue. Default: the scheduler's."
    )
    account: Key | None = Field(
        None, description="The account that pays. Default: the scheduler's."
    )
    walltime: Annotated[str, Field(pattern=_WALLTIME)] = Field(
        "04:00:00",
        description="How long a worker may live, HH:MM:SS or D-HH:MM:SS. Workers take "
        "no more jobs in time before it, and are replaced.",
    )
    cores: Annotated[int, Field(ge=1)] = Field(
        4, description="Cores of a worker: so many jobs it runs at a time."
    )
    memory_gb: Annotated[float, Field(gt=0)] = Field(
        10.0, description="Memory of a worker, for all its jobs."
    )
    job_memory_gb: Annotated[float, Field(gt=0)] = Field(
        2.0,
        description="Memory one job is expected to need until some have ended; bounds "
        "how many a worker runs at a time.",
    )
    workers: Annotated[int, Field(ge=1)] = Field(
        4, description="At most so many workers; fewer where fewer jobs are left."
    )
    min_workers: Annotated[int, Field(ge=0)] = Field(
        0, description="So many workers are kept until the end, at least."
    )
    scratch: Key | None = Field(
        None,
        description="A node's folder for work in progress, with variables such as "
        "'$TMPDIR'. Default: SLURM_TMPDIR, TMPDIR or /tmp as they are on the node.",
    )
    prologue: list[str] = Field(
        [], description="Lines of the job script before the worker: 'module load ...'."
    )
    directives: list[Key] = Field(
        [],
        description="More options of the scheduler, a line each: '--constraint=avx2'.",
    )
    skip_directives: list[Key] = Field(
        [], description="Lines to leave out of the job script: those that hold these."
    )
    interface: Key | None = Field(
        None,
        description="The network interface between driver and workers, such as 'ib0'. "
        "Default: the one that leads to the internet.",
    )
    host: Key | None = Field(
        None, description="The driver's address as workers reach it, instead."
    )
    python: Key | None = Field(
        None, description="The workers' Python. Default: the driver's own."
    )
    folder: Key | None = Field(
        None,
        description="Folder for the workers' logs, seen by all nodes. Default: "
        "'.cpengine' beside this file.",
    )
    tls: bool = Field(
        True, description="Encrypt what driver and workers say, with keys of the run."
    )


class SlurmSection(ClusterSection):
    """The `slurm` executor."""

    qos: Key | None = Field(None, description="The quality of service.")
    requeue: bool = Field(
        True, description="Let SLURM start workers again that it ended itself."
    )
    driver: Literal["job", "process"] = Field(
        "job",
        description="What --detach starts: a small job of the cluster, or a process "
        "on this machine.",
    )
    driver_partition: Key | None = Field(
        None,
        description="The partition of that job. Default: the workers', with their qos.",
    )
    driver_walltime: Annotated[str, Field(pattern=_WALLTIME)] = Field(
        "1-00:00:00", description="How long that job may live: longer than the run."
    )


class HTCondorSection(ClusterSection):
    """The `htcondor` executor."""

    disk_gb: Annotated[float, Field(gt=0)] = Field(
        20.0, description="Disk of a worker, for the images of all its jobs."
    )


class DaskSection(_Section):
    """The `dask` executor: a Dask scheduler that is there already."""

    address: Key | None = Field(
        None, description="The scheduler's, such as 'tcp://10.0.0.5:8786'."
    )
    job_memory_gb: Annotated[float, Field(gt=0)] = Field(
        2.0, description="Memory one job is expected to need until some have ended."
    )
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Memory of a worker, for all its jobs. Default: what is left.",
    )
    scratch: Key | None = Field(
        None, description="A worker's folder for work in progress; as for clusters."
    )


class RunSection(_Section):
    """What holds for every run."""

    max_failures: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Stop a step when so many jobs have failed. Default: when the "
        "first ten that ended have all failed.",
    )


class ExecutorsSection(_Section):
    """Settings of each executor."""

    local: LocalSection = Field(LocalSection(), description="This machine.")
    slurm: SlurmSection = Field(SlurmSection(), description="A SLURM cluster.")
    pbs: ClusterSection = Field(
        ClusterSection(), description="A PBS cluster. Not tried on a real one."
    )
    lsf: ClusterSection = Field(
        ClusterSection(), description="An LSF cluster. Not tried on a real one."
    )
    sge: ClusterSection = Field(
        ClusterSection(), description="An SGE cluster. Not tried on a real one."
    )
    htcondor: HTCondorSection = Field(
        HTCondorSection(), description="An HTCondor pool. Not tried on a real one."
    )
    dask: DaskSection = Field(DaskSection(), description="Any Dask scheduler.")


class ProjectFile(_Section):
    """The whole file."""

    project: ProjectSection
    storage: StorageSection = StorageSection()
    plate: PlateSection = PlateSection()
    steps: dict[Name, StepSection] = Field(
        {}, description="Built-in steps by name, and steps of your own."
    )
    cellprofiler: CellProfilerSection = CellProfilerSection()
    run: RunSection = RunSection()
    executors: ExecutorsSection = ExecutorsSection()


def load(path: Path) -> ProjectFile:
    """Read and check a project file.

    Raises
    ------
    ConfigError
        It is missing, is not TOML, or holds a key or value that is not allowed.
    """
    missing = "make one with `cpengine init`, or point -C at the project's folder"
    file = _checked(ProjectFile, path, _read(path, missing))
    _check_plates(path, file)
    _check_steps(path, file)
    if file.cellprofiler.path and file.cellprofiler.image:
        raise ConfigError(
            f"{path}: cellprofiler.image: cellprofiler.path is set, too: remove one"
        )
    return file


def cluster(file: ProjectFile, name: str, folder: Path) -> ClusterSection:
    """The settings of a cluster's executor, those of its site profile included.

    Parameters
    ----------
    name
        The section below `executors`.
    folder
        The project file's: the profile's place is relative to it.

    Raises
    ------
    ConfigError
        The profile is missing or wrong.
    """
    own: ClusterSection = getattr(file.executors, name)
    if own.profile is None:
        return own
    path = folder / Path(own.profile).expanduser()
    site = _read(path, f"name another in executors.{name}.profile")
    kind = type(own)
    _checked(kind, path, site)
    return kind.model_validate(site | own.model_dump(exclude_unset=True))


def _read(path: Path, missing: str) -> dict[str, Any]:
    """Read a TOML file; `missing` says what to do where there is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: is not there: {missing}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _checked(model: type[_Model], path: Path, data: dict[str, Any]) -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(_lines(model, path, error))) from error


def _lines(model: Any, path: Path, error: ValidationError) -> Iterator[str]:
    """Give a line for each wrong key or value, however many forms it may take."""
    refused: dict[str, list[str]] = {}
    places = [_place(item["loc"]) for item in error.errors()]
    for place, item in zip(places, error.errors(), strict=True):
        if item["type"] == "extra_forbidden":
            yield f"{path}: {place}: unknown key{_nearest(model, item['loc'])}"
        elif item["type"] == "missing":
            yield f"{path}: {place}: is missing: add it"
        elif not any(other.startswith(f"{place}.") for other in places):
            value = json.dumps(item["input"], default=str)
            text = f"{path}: {place}: {value} is not allowed"
            refused.setdefault(text, []).append(_allowed(item))
    for text, allowed in refused.items():
        yield f"{text}: {', or '.join(allowed)}"


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc if not _is_variant(part))


def _is_variant(part: str | int) -> bool:
    """Whether pydantic added this part for one alternative of a union."""
    return isinstance(part, str) and ("[" in part or part == "constrained-int")


def _allowed(item: Any) -> str:
    if item["type"] == "string_pattern_mismatch":
        return _PATTERNS[item["ctx"]["pattern"]]
    text: str = item["msg"]
    return text[0].lower() + text[1:]


def _nearest(model: Any, loc: tuple[int | str, ...]) -> str:
    for part in loc[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field else _section_in(model)
    known = sorted(_section_in(model).model_fields)
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    return f": did you mean {near[0]}?" if near else f" (known: {', '.join(known)})"


def _section_in(annotation: Any) -> Any:
    """The section that a field holds: itself, one of several, or a named one."""
    if hasattr(annotation, "model_fields"):
        return annotation
    found = (_section_in(part) for part in get_args(annotation))
    return next((section for section in found if section), None)


def _check_plates(path: Path, file: ProjectFile) -> None:
    plates = file.project.plates
    twice = [plate for plate in plates if plates.count(plate) > 1]
    if plates != "all" and twice:
        raise ConfigError(f"{path}: project.plates: {twice[0]} twice: remove one")


def _check_steps(path: Path, file: ProjectFile) -> None:
    """Refuse a step of the user's own that does not say enough to be run."""
    for name, step in file.steps.items():
        if name in STEPS:
            continue
        needed = ["group", "output"]
        if step.groups != "batch":
            needed.insert(0, "pipeline")
        missing = [key for key in needed if getattr(step, key) is None]
        if missing:
            near = difflib.get_close_matches(name, STEPS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ConfigError(
                f"{path}: steps.{name}: is not a built-in step{hint} and has no "
                f"{', '.join(missing)}: add what is missing"
            )
    if file.storage.layout == "cpg" and not file.storage.source:
        raise ConfigError(
            f"{path}: storage.source: is missing: layout 'cpg' needs it (source_4)"
        )


def schema() -> str:
    """The JSON schema of the project file, for editors."""
    return json.dumps(ProjectFile.model_json_schema(), indent=2) + "\n"
