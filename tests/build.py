"""Small good projects for tests to break one thing in; no CellProfiler is needed."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from cpengine.inputs import pipeline
from cpengine.inputs.loaddata import Table
from cpengine.project import Project

SITE = "Plate,Well,Site"
MOUNT = "/home/ubuntu/bucket"
BASES = {"default": "projects/proj", "cpg": "proj/source_4"}
IMAGES = {"default": "projects/proj/B1", "cpg": "proj/source_4/images/B1"}


@dataclass(frozen=True, slots=True)
class Built:
    """The places of a project that was built."""

    root: Path
    toml: Path
    pipeline: Path
    csv: Path
    """The first plate's CSV."""
    images: Path
    """The first plate's images."""
    illum: Path
    """The first plate's illumination functions."""
    batch_files: Path

    def project(self) -> Project:
        return Project.load(self.root)


def project(
    root: Path,
    *,
    pipeline: str = "analysis.cppipe",
    data_file: str = "load_data_with_illum.csv",
    tags: str = SITE,
    style: str = "default",
    plates: Sequence[str] = ("P1",),
    wells: Sequence[str] = ("A01", "A02"),
    sites: Sequence[str] = ("1", "2"),
    toml: str = "",
) -> Built:
    """Write a project of one step: its file, pipeline, CSVs, images and functions."""
    workspace, images = root / BASES[style] / "workspace", root / IMAGES[style]
    csvs = workspace / "load_data_csv" / "B1"
    built = Built(
        root=root,
        toml=root / "cpengine.toml",
        pipeline=workspace / "pipelines" / "B1" / pipeline,
        csv=csvs / plates[0] / data_file,
        images=images / "images" / plates[0],
        illum=images / "illum" / plates[0],
        batch_files=root if style == "cpg" else workspace / "batchfiles" / "B1",
    )
    write(built.toml, project_file(style) + toml)
    write(built.pipeline, pipeline_text(tags))
    for plate in plates:
        rows = image_sets(plate, f"{MOUNT}/{IMAGES[style]}", wells, sites)
        write(csvs / plate / data_file, csv_text(rows))
        for row in rows:
            write(images / "images" / plate / row["FileName_OrigDNA"], "image")
        write(images / "illum" / plate / f"{plate}_IllumDNA.npy", "function")
    return built


def image_sets(
    plate: str, images: str, wells: Sequence[str], sites: Sequence[str]
) -> list[dict[str, str]]:
    return [
        {
            "FileName_OrigDNA": f"{well}_{site}.tif",
            "PathName_OrigDNA": f"{images}/images/{plate}",
            "FileName_IllumDNA": f"{plate}_IllumDNA.npy",
            "PathName_IllumDNA": f"{images}/illum/{plate}",
            "Metadata_Plate": plate,
            "Metadata_Well": well,
            "Metadata_Site": site,
        }
        for well in wells
        for site in sites
    ]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def change(path: Path, old: str, new: str) -> None:
    """Put `new` for the first `old` in a file; `old` must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def add_module(pipeline: Path, name: str) -> None:
    """Add a module without settings at the end of a pipeline's file."""
    pipeline.write_text(_with_module(pipeline.read_text(), name))


def in_batch_mode(text: str) -> str:
    """A pipeline as CreateBatchFiles writes it into a batch file."""
    return _with_module(text, "CreateBatchFiles", "    Hidden- in batch mode:Yes\n")


def _with_module(text: str, name: str, settings: str = "") -> str:
    head, *blocks = text.rstrip().split("\n\n")
    number = len(blocks) + 1
    head = re.sub(r"ModuleCount:\d+", f"ModuleCount:{number}", head)
    block = (
        f"{name}:[module_num:{number}|svn_version:'Unknown'|"
        "variable_revision_number:1|show_window:False|notes:[]|"
        "batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]\n"
        f"{settings}"
    )
    return "\n\n".join([head, *blocks, block])


def project_file(style: str = "default") -> str:
    source = 'source = "source_4"\n' if style == "cpg" else ""
    return (
        f'[project]\nname = "proj"\nbatch = "B1"\n\n[storage]\nlayout = "{style}"\n'
        f"{source}\n"
    )


def csv_text(rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def pipeline_text(tags: str = SITE, *more: str, revision: str = "4281") -> str:
    """Give a pipeline that finds nuclei, then does `more`, and saves."""
    modules = (
        load_data(tags),
        module(
            "CorrectIlluminationApply",
            2,
            {
                "Select the input image": "OrigDNA",
                "Name the output image": "CorrDNA",
                "Select the illumination function": "IllumDNA",
            },
        ),
        module(
            "IdentifyPrimaryObjects",
            3,
            {
                "Select the input image": "CorrDNA",
                "Name the primary objects to be identified": "Nuclei",
            },
        ),
        *more,
        module(
            "ExportToSpreadsheet",
            4 + len(more),
            {"Output file location": "Default Output Folder|"},
        ),
    )
    head = (
        "CellProfiler Pipeline: http://www.cellprofiler.org\nVersion:5\n"
        f"DateRevision:{revision}\nGitHash:\nModuleCount:{len(modules)}\n"
        "HasImagePlaneDetails:False\n"
    )
    return "\n".join((head, *modules))


def pipeline_json(text: str) -> str:
    """Give a pipeline's text as JSON, as CellProfiler writes it."""
    read = pipeline.parse(text, "")
    modules = [
        {
            "attributes": {
                "module_name": module.name,
                "module_num": module.number,
                "enabled": module.enabled,
                "variable_revision_number": 1,
            },
            "settings": [
                {"text": text, "value": value} for text, value in module.settings
            ],
        }
        for module in read.modules
    ]
    content = {"date_revision": int(read.revision), "modules": modules, "version": "v6"}
    return json.dumps(content)


def load_data(tags: str = SITE, **settings: str) -> str:
    return module(
        "LoadData",
        1,
        {
            "Process just a range of rows?": "No",
            "Group images by metadata?": "Yes",
            "Select metadata tags for grouping": tags,
        }
        | settings,
    )


def module(
    name: str, number: int, settings: Mapping[str, str], *, enabled: bool = True
) -> str:
    attributes = f"module_num:{number}|variable_revision_number:1|enabled:{enabled}"
    lines = [f"    {text}:{value}\n" for text, value in settings.items()]
    return "".join((f"{name}:[{attributes}]\n", *lines))


def batch_file(
    path: Path,
    image: Mapping[str, Sequence[str | int]],
    *,
    pipeline: str = "",
    tags: Sequence[str] = ("Plate", "Well", "Site"),
) -> None:
    """Write a `Batch_data.h5` as CreateBatchFiles does, image numbers from 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(next(iter(image.values()), ()))
    with h5py.File(path, "w") as file:
        run = file.create_group("Measurements/2026-11-22-10-11-24")
        _feature(run, "Experiment/Pipeline_Pipeline", [in_batch_mode(pipeline)])
        if tags:
            keys = json.dumps([f"Metadata_{tag}" for tag in tags])
            _feature(run, "Experiment/Metadata_GroupingTags", [keys])
        _feature(run, "Image/ImageNumber", list(range(1, count + 1)))
        for name, values in image.items():
            _feature(run, f"Image/{name}", values)


def _feature(run: h5py.Group, name: str, values: Sequence[str | int]) -> None:
    """Write values after a stale one, as a batch file holds them: index has places."""
    stale = type(values[0])() if values else 0
    run.create_dataset(f"{name}/data", data=[stale, *values])
    index = [(i, i, i + 1) for i in range(1, len(values) + 1)]
    run.create_dataset(f"{name}/index", data=index, shape=(len(index), 3), dtype=int)


def batch_of(
    built: Built, name: str = "Batch_data_analysis.h5", *, tags: str = SITE
) -> Path:
    """Write the batch file that a project's pipeline and first CSV would give."""
    rows = list(csv.DictReader(io.StringIO(built.csv.read_text())))
    image = {key: [row[key] for row in rows] for key in rows[0]}
    path = built.batch_files / name
    text = built.pipeline.read_text()
    batch_file(path, image, pipeline=text, tags=tags.split(","))
    return path


def table(header: Sequence[str], *rows: Sequence[str]) -> Table:
    """Give a table of a file called f.csv."""
    lines = tuple(range(2, len(rows) + 2))
    return Table("f.csv", tuple(header), tuple(map(tuple, rows)), lines)
