"""What a pipeline's own text tells before it runs over a step's groups and images.

Source: the settings of the modules of CellProfiler 4.2.8.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from cpengine import rules
from cpengine.inputs.load_settings import load_settings
from cpengine.inputs.pipeline import LOADS, Module, Pipeline
from cpengine.plates import WELL
from cpengine.rules import Finding
from cpengine.wording import counted, did_you_mean

OUTPUT_FOLDER = "Default Output Folder"
_BY_HAND = {"EditObjectsManually", "IdentifyObjectsManually"}
_EXPORTS = {"ExportToDatabase", "ExportToSpreadsheet"}
_SAVES = {*_EXPORTS, "SaveCroppedObjects", "SaveImages"}
_ROWS_IF_UNREAD = 100_000
"""What LoadData takes for the last row of a range that it cannot read."""
_MAY_SAVE = {"CalculateStatistics", "MeasureObjectSkeleton", "UntangleWorms"}
PLACES = ("Output file location", "Directory")
"""Settings that say where a module of these saves."""
_BY_IMAGE_FILES = {"Images", "NamesAndTypes"}
OWN_MODULES = frozenset(
    """
    Align CalculateMath CalculateStatistics ClassifyObjects Closing ColorToGray
    CombineObjects ConvertImageToObjects ConvertObjectsToImage
    CorrectIlluminationApply CorrectIlluminationCalculate CreateBatchFiles Crop
    DefineGrid DilateImage DilateObjects DisplayDataOnImage DisplayDensityPlot
    DisplayHistogram DisplayPlatemap DisplayScatterPlot EditObjectsManually
    EnhanceEdges EnhanceOrSuppressFeatures ErodeImage ErodeObjects
    ExpandOrShrinkObjects ExportToDatabase ExportToSpreadsheet FillObjects
    FilterObjects FindMaxima FlagImage FlipAndRotate GaussianFilter GrayToColor
    Groups IdentifyDeadWorms IdentifyObjectsInGrid IdentifyObjectsManually
    IdentifyPrimaryObjects IdentifySecondaryObjects IdentifyTertiaryObjects
    ImageMath Images InjectImage InjectObjects InvertForPrinting LabelImages
    LoadData LoadText MakeProjection MaskImage MaskObjects MatchTemplate
    MeasureColocalization MeasureGranularity MeasureImageAreaOccupied
    MeasureImageIntensity MeasureImageOverlap MeasureImageQuality
    MeasureImageSkeleton MeasureObjectIntensity MeasureObjectIntensityDistribution
    MeasureObjectNeighbors MeasureObjectOverlap MeasureObjectSizeShape
    MeasureObjectSkeleton MeasureTexture MedialAxis MedianFilter Metadata Morph
    MorphologicalSkeleton NamesAndTypes Opening OverlayObjects OverlayOutlines
    ReduceNoise RelateObjects RemoveHoles RescaleIntensity Resize ResizeObjects
    RunImageJMacro SaveCroppedObjects SaveImages ShrinkToObjectCenters Smooth
    SplitOrMergeObjects StraightenWorms Threshold Tile TrackObjects UnmixColors
    UntangleWorms Watershed
    """.split()  # noqa: SIM905 (as a list it would take a hundred lines)
)
"""The modules that CellProfiler 4.2.8 has without plugins."""
_RENAMED = frozenset(
    """
    ApplyThreshold CalculateImageOverlap CropObjects Dilation Erosion MeasureCorrelation
    MeasureNeurons NoiseReduction ReassignObjectNumbers SplitIntoContiguousObjects
    """.split()  # noqa: SIM905 (as above)
)
"""Older names that it takes for modules of its own."""
_SILENT = (OWN_MODULES | _RENAMED) - _MAY_SAVE
_WANTS_GROUPS = ("Do you want to group your images?",)


def findings(
    pipeline: Pipeline,
    group: Sequence[str],
    images: Sequence[str],
    data_file: str,
    cellprofiler: str = "",
    *,
    rows: int = 0,
) -> Iterator[Finding]:
    """What keeps a pipeline with LoadData from running over these groups and images.

    Parameters
    ----------
    group
        The step's metadata columns.
    images
        The image names that the CSV provides.
    cellprofiler
        The version that would run it; not compared if empty.
    rows
        The image sets of the CSV.
    """
    if pipeline.load_data is not None:
        yield from _load_data(pipeline, pipeline.load_data, group, rows)
    yield from _traps(pipeline)
    yield from newer(pipeline, cellprofiler)
    wanted = ((str(m), text, image) for m, text, image in pipeline.images_wanted())
    yield from channels_missing(wanted, pipeline.path, images, data_file)
    yield from _saves(pipeline)


def finds_images_itself(pipeline: Pipeline) -> Module | None:
    """The module that finds image files, if no LoadData names them."""
    if pipeline.load_data is not None:
        return None
    return next((m for m in pipeline.enabled if m.name in _BY_IMAGE_FILES), None)


def without_load_data(pipeline: Pipeline) -> Iterator[Finding]:
    """What takes the place of LoadData in a pipeline that has none."""
    if pipeline.load_data is not None:
        return
    if finds_files := finds_images_itself(pipeline):
        yield rules.LOADDATA_MISSING.found(
            pipeline.path,
            f"finds its images by {finds_files}, not by a LoadData CSV",
            "in CellProfiler, add CreateBatchFiles for a batch file and set "
            'groups = "batch", or set data_file to a list of files (.txt), or take '
            "File > Export > Image Set Listing as the CSV and LoadData in place of "
            "Images, Metadata, NamesAndTypes and Groups",
        )
    else:
        cause = "has no enabled LoadData module"
        yield rules.LOADDATA_MISSING.found(pipeline.path, cause, "add it as module 1")


def for_lists(
    pipeline: Pipeline, group: Sequence[str], cellprofiler: str = ""
) -> Iterator[Finding]:
    """What keeps a pipeline from running over these groups of a list of files.

    Parameters
    ----------
    group
        The step's metadata columns.
    cellprofiler
        The version that would run it; not compared if empty.
    """
    finds = [m for m in pipeline.enabled if m.name in _BY_IMAGE_FILES]
    keys = [
        f"Metadata_{tag}"
        for module in pipeline.enabled
        if module.name == "Groups" and "Yes" in module.settings_named(*_WANTS_GROUPS)
        for tag in module.settings_named("Metadata category")
    ]
    if not finds:
        cause = "has neither LoadData nor Images and NamesAndTypes"
        yield rules.LOADDATA_MISSING.found(pipeline.path, cause, "add the latter")
    elif group and set(keys) != set(group):
        by = f"groups by {', '.join(keys)}" if keys else "does not group"
        yield rules.GROUPING_DIFFERS.found(
            pipeline.path,
            f"{by}, the step by {', '.join(group)}",
            "change its Groups module, or the step's `group`",
        )
    yield from _traps(pipeline)
    yield from newer(pipeline, cellprofiler)
    yield from _saves(pipeline)


def does_not_group(pipeline: Pipeline, rows: int) -> Finding:
    """That a job is all of a table, which may take long."""
    return rules.NO_GROUPING.found(
        pipeline.path,
        f"does not group, so that one job runs the {counted(rows, 'image set')} of a "
        "table, one after another",
        "let LoadData, or Groups, group by metadata, to have a job a group",
    )


def _load_data(
    pipeline: Pipeline, module: Module, group: Sequence[str], rows: int
) -> Iterator[Finding]:
    yield from _beside_load_data(pipeline, module)
    yield from _base_folder(pipeline, module)
    if set(pipeline.grouping_keys) != set(group):
        yield rules.GROUPING_DIFFERS.found(
            pipeline.path,
            f"{module} groups by {_tags(pipeline.grouping_keys) or 'nothing'}, the "
            f"step by {_tags(group)}",
            "change the pipeline's metadata tags for grouping, or set the step's "
            f"group = {json.dumps(list(pipeline.grouping_keys))}"
            if pipeline.grouping_keys
            else "choose metadata tags for grouping in LoadData",
        )
    chosen = pipeline.loads.rows
    if chosen is not None and not _all_rows(chosen, rows):
        yield rules.LOADDATA_ROWS.found(
            pipeline.path,
            f"{module} processes just a range of rows ({chosen})",
            "set 'Process just a range of rows?' to No",
        )
    if not pipeline.loads.loads_images:
        yield rules.LOADDATA_NO_IMAGES.found(
            pipeline.path,
            f"{module} loads no images",
            "set 'Load images based on this data?' to Yes",
        )


def _beside_load_data(pipeline: Pipeline, module: Module) -> Iterator[Finding]:
    """Modules whose image sets are in the way, or that want LoadData's too early.

    All other modules may come before LoadData: it prepares the run as a whole.
    """
    for other in pipeline.enabled:
        if other.name == "NamesAndTypes" or (
            other.name == "Groups" and "Yes" in other.settings_named(*_WANTS_GROUPS)
        ):
            yield rules.LOADDATA_NOT_ALONE.found(
                pipeline.path,
                f"{other} is enabled beside {module}",
                "disable Images, Metadata, NamesAndTypes and Groups",
            )
        if other.name in LOADS and other is not module and _makes_image_sets(other):
            yield rules.LOADDATA_NOT_ALONE.found(
                pipeline.path, f"{other} is enabled beside {module}", "disable one"
            )
        if other.name in _EXPORTS and other.number < module.number:
            yield rules.LOADDATA_FIRST.found(
                pipeline.path, f"{module} comes after {other}", "move it to the top"
            )


def _makes_image_sets(load_data: Module) -> bool:
    """Whether a LoadData loads images or groups; all read the table of the command."""
    loads = load_settings(load_data.settings)
    return loads.loads_images or bool(loads.tags)


def _base_folder(pipeline: Pipeline, module: Module) -> Iterator[Finding]:
    kind, _ = pipeline.loads.base
    if not kind.startswith(("None", "Default", "Elsewhere")):
        yield rules.MODULE_INVALID.found(
            pipeline.path,
            f"{module}: CellProfiler knows no base image location {kind!r}",
            "choose one in CellProfiler",
        )


def _all_rows(chosen: str, rows: int) -> bool:
    """Whether a range of rows, counted from 1, leaves none out."""
    first, _, last = chosen.partition(",")
    try:
        return int(first) <= 1 and int(last) >= rows > 0
    except ValueError:
        return rows <= _ROWS_IF_UNREAD


def _tags(keys: Sequence[str]) -> str:
    return ", ".join(key.removeprefix("Metadata_") for key in keys)


def _traps(pipeline: Pipeline) -> Iterator[Finding]:
    for module in pipeline.enabled:
        if module.name == "CreateBatchFiles":
            yield rules.CREATE_BATCH_FILES.found(
                pipeline.path,
                f"{module} is enabled, so CellProfiler would stop after writing "
                "Batch_data.h5",
                "disable it",
            )
        if module.name in _BY_HAND:
            yield rules.MODULE_BY_HAND.found(
                pipeline.path,
                f"{module} wants a person at the screen",
                "replace or disable it",
            )


def newer(pipeline: Pipeline, cellprofiler: str) -> Iterator[Finding]:
    """Whether a newer CellProfiler than the one that would run it saved a pipeline."""
    if cellprofiler and _digits(pipeline.revision) > _digits(cellprofiler):
        yield rules.PIPELINE_NEWER.found(
            pipeline.path,
            f"was saved by CellProfiler {'.'.join(pipeline.revision[:3])}, "
            f"{cellprofiler} is installed",
            "install the newer one, or export the pipeline from the older",
        )


def _digits(version: str) -> tuple[int, ...]:
    """`428`, `4281` and `4.2.8.1` all give (4, 2, 8); dates of CellProfiler 2: ()."""
    if "." in version:
        return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    digits = version[:3] if version.isdecimal() and len(version) < 8 else ""
    return tuple(map(int, digits))


def channels_missing(
    wanted: Iterable[tuple[str, str, str]],
    path: str,
    images: Collection[str],
    data_file: str,
) -> Iterator[Finding]:
    """Images that a CSV does not provide, each with its illumination function.

    Parameters
    ----------
    wanted
        (module, setting, image) of what no earlier module makes.
    path
        The pipeline as messages name it.
    """
    wants: dict[str, str] = {}
    for module, setting, image in wanted:
        wants.setdefault(image, f"{module} of {path} wants ({setting})")
    missing = [image for image in wants if image not in images]
    unused = set(images) - set(wants)
    follows = {_illum(image) for image in missing if image != _illum(image)}
    for image in missing:
        if image in follows:  # the illum step makes it of the other one
            continue
        near = did_you_mean(image, unused, form=" ({})")
        both = (
            f" and {_illum(image)}" if _illum(image) in follows & set(missing) else ""
        )
        hint = ", or run the illum step first" if image.startswith("Illum") else ""
        yield rules.CHANNEL_MISSING.found(
            data_file,
            f"has no columns for {image}{near}{both}, which {wants[image]}",
            f"add FileName_{image} and PathName_{image}{hint}",
        )


def _illum(image: str) -> str:
    """The image of an image's illumination function; itself, if it is one."""
    return f"Illum{image.removeprefix('Orig').removeprefix('Illum')}"


def _saves(pipeline: Pipeline) -> Iterator[Finding]:
    saving = [module for module in pipeline.enabled if module.name in _SAVES]
    if not saving and {m.name for m in pipeline.enabled} <= _SILENT:
        yield rules.SAVES_NOTHING.found(
            pipeline.path,
            "has no enabled module that saves something",
            "add ExportToSpreadsheet or SaveImages",
        )
    for module in saving:
        place = next(iter(module.settings_named(*PLACES)), "")
        if place and not place.startswith(OUTPUT_FOLDER):
            yield rules.EXPORT_ELSEWHERE.found(
                pipeline.path,
                f"{module} saves to '{place.strip('|').replace('|', ' ')}'",
                f"set its output file location to {OUTPUT_FOLDER}",
            )
        if module.name == "ExportToDatabase":
            yield rules.DATABASE.found(
                pipeline.path,
                f"{module} writes a database a job",
                "use ExportToSpreadsheet and `cpengine collect`",
            )


def unknown(pipeline: Pipeline, plugins: Collection[str]) -> dict[str, Finding]:
    """Modules that neither CellProfiler has nor a plugin, by name.

    Disabled ones count: CellProfiler loads them, too.

    Parameters
    ----------
    plugins
        The files of the step's plugins folder, by their place below it.
    """
    found = {}
    for module in pipeline.modules:
        name = module.name.rpartition(".")[2]
        if name not in OWN_MODULES | _RENAMED and f"{name.lower()}.py" not in plugins:
            found[name] = rules.MODULE_UNKNOWN.found(
                pipeline.path,
                f"{module} is no module of CellProfiler 4.2.8"
                + did_you_mean(name, OWN_MODULES, form=" ({})")
                + (", nor of the step's plugins" if plugins else ""),
                f"put {name.lower()}.py into the step's plugins folder",
            )
    return found


def for_groups(
    pipeline: Pipeline, group: Sequence[str], largest: int
) -> Iterator[Finding]:
    """What does not suit groups of that size.

    Parameters
    ----------
    group
        The step's metadata columns.
    largest
        Image sets of the largest group.
    """
    skips = False
    for module in pipeline.enabled:
        skips |= "Yes" in module.settings_named("Skip image set if flagged?")
        if largest > 1 and _saves_over_itself(module, group):
            yield _over_itself(pipeline.path, module, largest, skips=skips)
        scope = module.setting(
            "Calculate function for each image individually, or based on all images?"
        )
        if scope and scope.startswith("All") and WELL in group:
            yield rules.ILLUM_SCOPE.found(
                pipeline.path,
                f"{module} is calculated across all images of a job, which is less "
                "than a plate",
                "group the step by Metadata_Plate",
            )


def _saves_over_itself(module: Module, group: Sequence[str]) -> bool:
    """Whether nothing in a name changes between the image sets of a group."""
    single = (
        module.name == "SaveImages"
        and module.setting("Select the type of image to save") != "Movie/Stack"
        and module.setting("Select method for constructing file names") == "Single name"
        and module.setting("When to save") == "Every cycle"
    )
    texts = (module.setting("Enter single file name") or "") + (
        module.setting("Output file location") or ""
    )
    tags = {f"Metadata_{tag}" for tag in re.findall(r"\\g<(\w+)>", texts)}
    return single and tags <= set(group)


def _over_itself(path: str, module: Module, sets: int, *, skips: bool) -> Finding:
    """Whether the job fails depends on what is left out and may be overwritten."""
    overwrites = module.setting("Overwrite existing files without warning?") == "Yes"
    rule = rules.MAY_SAVE_OVER if skips or overwrites else rules.SAVES_OVER_ITSELF
    but = ", but for those that FlagImage leaves out" if skips else ""
    but += ", and overwrites them: the last is kept" if overwrites else ""
    return rule.found(
        path,
        f"{module} saves each of a job's {sets} image sets as "
        f"'{module.setting('Enter single file name')}'{but}",
        "use metadata in the name that tells them apart, such as \\g<Site>",
    )


def missing_rule_files(
    pipeline: Pipeline, there: Collection[str], place: str
) -> Iterator[Finding]:
    """Which rules files the step's input folder lacks.

    Parameters
    ----------
    there
        The files of that folder, by their place below it.
    place
        The folder as messages name it.
    """
    for module, file in pipeline.rule_files():
        if file not in there:
            yield rules.RULES_FILE.found(
                f"{place}/{file}",
                f"is not there, and {module} of {pipeline.path} wants it",
                "put it there",
            )
