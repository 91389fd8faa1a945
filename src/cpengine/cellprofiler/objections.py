"""What CellProfiler says of a pipeline that it has loaded, as findings.

Its window does not run a pipeline with a setting that is not valid. Without a window
nobody asks, and most of such pipelines run. Which do not was tried: each setting of
each module was made invalid in turn, and a small pipeline was run with it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cpengine import rules
from cpengine.cellprofiler.command import plugin_failure, unknown_module
from cpengine.inputs.loaddata import Table
from cpengine.inputs.pipeline import NO_IMAGE, Pipeline
from cpengine.inputs.pipeline_checks import OWN_MODULES, channels_missing
from cpengine.rules import Finding

_IMAGES = {"ImageSubscriber", "ImageListSubscriber"}
_NAMES = "Subscriber"
"""The kind of all settings that name what an earlier module makes."""
_ENDING_KINDS = {_NAMES, "Colormap", "Coordinates", "Measurement"}
"""Kinds of settings that end a run where they are not valid. A number or a range that
cannot be read does not: the module's default counts."""
_ENDING_MESSAGES = (
    "At least one of the images must not be blank",
    "already",
    "Percentile not within",
    "Percentile was not",
    "Unsupported directory choice",
    "You must supply at least one grayscale input",
    "is not a defined metadata tag",
    "is not a valid directory option",
    "numbers must be different",
)
"""Parts of what other settings say that end a run."""
_THRESHOLD = (
    "Threshold strategy",
    "Thresholding method",
    "Two-class or three-class thresholding?",
)
_ENDING: Mapping[str, Collection[str]] = {
    "CalculateMath": (
        "Operation",
        "Select the denominator measurement type",
        "Select the first operand measurement type",
        "Select the minuend measurement type",
        "Select the numerator measurement type",
        "Select the second operand measurement type",
        "Select the subtrahend measurement type",
    ),
    "ClassifyObjects": (
        "Enter the custom thresholds separating the values between bins",
        "Make classification decision based on",
        "Method to select the cutoff",
    ),
    "CombineObjects": ("Select how to handle overlapping objects",),
    "ConvertObjectsToImage": ("Select the color format",),
    "CorrectIlluminationApply": ("Select how the illumination function is applied",),
    "CorrectIlluminationCalculate": (
        "Background mode",
        "Method to calculate smoothing filter size",
        "Rescale the illumination function?",
        "Smoothing method",
    ),
    "DisplayDataOnImage": (
        "Color map range",
        "Display object or image measurements?",
        "Font weight",
    ),
    "DisplayScatterPlot": (
        "Type of measurement to plot on X-axis",
        "Type of measurement to plot on Y-axis",
    ),
    "EnhanceEdges": (
        "Select an edge-finding method",
        "Select edge direction to enhance",
    ),
    "EnhanceOrSuppressFeatures": ("Feature type", "Select the operation"),
    "ExpandOrShrinkObjects": ("Select the operation",),
    "ExportToSpreadsheet": ("Select the column delimiter",),
    "FilterObjects": ("Select the filtering method", "Select the filtering mode"),
    "FindMaxima": ("Method for excluding background",),
    "FlagImage": ("Flag is based on",),
    "FlipAndRotate": (
        "Select how the specified points should be aligned",
        "Select method to flip image",
    ),
    "GrayToColor": ("Select a color scheme",),
    "IdentifyObjectsInGrid": ("Select object shapes and locations",),
    "IdentifyPrimaryObjects": (
        "Method to distinguish clumped objects",
        "Method to draw dividing lines between clumped objects",
        *_THRESHOLD,
    ),
    "IdentifySecondaryObjects": (
        "Select the method to identify the secondary objects",
        *_THRESHOLD,
    ),
    "ImageMath": ("Image or measurement?", "Operation"),
    "InvertForPrinting": ("Input image type", "Output image type"),
    "MaskObjects": (
        "Handling of objects that are partially masked",
        "Numbering of resulting objects",
    ),
    "MeasureColocalization": ("Select images to measure",),
    "MeasureImageAreaOccupied": (
        "Select binary images to measure",
        "Select object sets to measure",
    ),
    "MeasureImageQuality": (
        "Calculate metrics for which images?",
        "Select a thresholding method",
    ),
    "MeasureObjectIntensity": ("Select images to measure", "Select objects to measure"),
    "MeasureObjectNeighbors": ("Method to determine neighbors",),
    "Morph": ("Number of times to repeat operation",),
    "RescaleIntensity": ("Rescaling method",),
    "SaveCroppedObjects": (
        "Do you want to save cropped images or object masks?",
        "Saved file format",
    ),
    "SaveImages": ("Select the type of image to save",),
    "Smooth": ("Select smoothing method",),
    "SplitOrMergeObjects": ("Merging method", "Select the parent object"),
    "Threshold": _THRESHOLD,
    "TrackObjects": ("Choose a tracking method",),
    "UnmixColors": ("Stain",),
}
"""Other settings that end it, whatever they say, by module."""
_WITHOUT_WINDOW = {"DisplayHistogram", "DisplayPlatemap"}
"""Modules that do nothing in a run without a window."""
_NOT_READ = {("ExportToSpreadsheet", "Select the metadata to use as the identifier")}
"""Settings of the kinds above that are not read where they are not valid."""
_FILE_NAME = "file name"
"""How settings end that name a file of rules, a classifier or a training set."""
_OF_OBJECTS = "describe objects instead of images"
"""What is said of rules for objects, which FlagImage takes all the same."""


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline that CellProfiler was asked about, and what else is found of it."""

    pipe: Pipeline
    table: Table
    rules_there: Collection[str]
    """The files of its rules folder."""
    unknown: Mapping[str, Finding]
    """Modules that nobody seems to have, by name."""

    def findings(self, answer: Mapping[str, Any]) -> Iterator[Finding]:
        """What an answer of the probe comes to; each cause once."""
        yield from self._of_loading(answer)
        for entry in answer["newer"]:
            yield rules.MODULE_NEWER.found(
                self.pipe.path,
                f"{_module(entry)} has revision {entry['revision']}, the installed "
                f"CellProfiler has {entry['installed']}",
                "install the newer CellProfiler, or export the pipeline from the older",
            )
        for entry in answer["without_mysqldb"]:
            yield rules.DATABASE_LIBRARY.found(
                self.pipe.path,
                f"{_module(entry)} needs Python's MySQLdb, for SQLite, too, and this "
                "CellProfiler has none",
                "use ExportToSpreadsheet, or install mysqlclient for CellProfiler",
            )
        entries = [e for e in answer["objections"] if not self._is_checked(e)]
        by_text = {image for *_, image in self.pipe.images_wanted()}
        wanted = [
            (_module(entry), entry["setting"], image)
            for entry in entries
            for image in _channels(entry)
            if image not in by_text
        ]
        images, data_file = self.table.images, self.table.path
        yield from channels_missing(wanted, self.pipe.path, images, data_file)
        yield from self._others(entry for entry in entries if not _channels(entry))

    def _of_loading(self, answer: Mapping[str, Any]) -> Iterator[Finding]:
        """Why it could not be loaded; where it could, no module is unknown."""
        error: str | None = answer["error"]
        if error is None:
            return
        nobody_has_it = unknown_module(error) in self.unknown
        for name, finding in self.unknown.items():
            if nobody_has_it or name != answer["failed"]:
                yield finding
        if why := plugin_failure(error):
            yield rules.PIPELINE_DOES_NOT_LOAD.found(
                self.pipe.path,
                f"the plugin of {unknown_module(error)} cannot be imported ({why})",
                "install what it needs for CellProfiler's Python: see Plugins in "
                "docs/how-to/own-steps-and-overrides.md",
            )
        elif not nobody_has_it:
            after = f" after module {answer['loaded']}" if answer["loaded"] else ""
            yield rules.PIPELINE_DOES_NOT_LOAD.found(
                self.pipe.path,
                f"CellProfiler cannot load it{after} ({error.splitlines()[0]})",
                "open it in CellProfiler and export it again, or give the step its "
                "plugins",
            )

    def _is_checked(self, entry: Mapping[str, Any]) -> bool:
        """Whether checks of our own cover it: of LoadData, whose table the command
        gives, and of rules files.
        """
        without_rules = {
            module.number
            for module, file in self.pipe.rule_files()
            if file not in self.rules_there
        }
        of_rules = entry["whole"] or "MultiChoice" in entry["kinds"]
        return entry["module"] == "LoadData" or (
            of_rules and entry["number"] in without_rules
        )

    def _others(self, entries: Iterator[Mapping[str, Any]]) -> Iterator[Finding]:
        reported: set[str] = set()
        for entry in entries:
            if entry["lacking"] and reported.issuperset(entry["lacking"]):
                continue
            reported.update(entry["lacking"])
            ends = _ends_run(entry)
            rule = rules.MODULE_INVALID if ends else rules.MODULE_DOUBTFUL
            what = "mend" if ends else "look at"
            message = entry["message"].strip().splitlines()[0].rstrip(".")
            yield rule.found(
                self.pipe.path,
                f"{_module(entry)}: {message} ({entry['setting']})",
                f"open it in CellProfiler and {what} what is marked red",
            )


def _module(entry: Mapping[str, Any]) -> str:
    return f"module {entry['number']} {entry['module']}"


def _channels(entry: Mapping[str, Any]) -> list[str]:
    """The images that a CSV would have to provide."""
    if not _IMAGES.intersection(entry["kinds"]) or not _ends_run(entry):
        return []
    return [n for n in entry["lacking"] if n not in NO_IMAGE and "," not in n]


def _ends_run(entry: Mapping[str, Any]) -> bool:
    """Whether a run without a window fails for it, too."""
    module, setting, message = entry["module"], entry["setting"], entry["message"]
    kinds, whole = set(entry["kinds"]), entry["whole"]
    if module not in OWN_MODULES:
        return _NAMES in kinds and not whole
    if module in _WITHOUT_WINDOW or (module, setting) in _NOT_READ:
        return False
    return (
        (bool(kinds & _ENDING_KINDS) and not whole)
        or setting in _ENDING.get(module, ())
        or any(part in message for part in _ENDING_MESSAGES)
        or (whole and setting.endswith(_FILE_NAME) and _OF_OBJECTS not in message)
        or ("LabelName" in kinds and not entry["value"])
    )
