"""Rules on images, settings and machines."""

from cpengine.rules.finding import Severity
from cpengine.rules.finding import rule as _rule

_IMAGES = "Images"

IMAGE_MISSING = _rule(
    "image-missing",
    _IMAGES,
    "An image is not there",
    "Its job fails, after it has waited for its turn.",
    "Put it there, map its folder in [storage.map], or drop the row; run the step that "
    "makes it first.",
)
IMAGE_EMPTY = _rule(
    "image-empty",
    _IMAGES,
    "An image is empty (0 bytes)",
    "Its job fails: zero-size array.",
    "Copy it again, or drop its row.",
)
IMAGE_CUT = _rule(
    "image-cut",
    _IMAGES,
    "A TIFF on this machine ends before its data, and is smaller than the others",
    "CellProfiler measures what is there of it, and black below.",
    "Copy it again, or drop its row.",
)
IMAGE_SMALL = _rule(
    "image-small",
    _IMAGES,
    "An image is smaller than the others of its channel, which are not compressed, or "
    "much smaller than these",
    "It fails if it is no image; a truncated one fails, or is black below a line.",
    "Copy it again, or drop its row.",
    Severity.WARNING,
)

_PLACES = "Settings and machines"

SETTING = _rule(
    "setting",
    _PLACES,
    "A setting of the project file cannot be used",
    "Nothing runs.",
    "Do as the message says.",
)
OUTPUT_STRUCTURE = _rule(
    "output-structure",
    _PLACES,
    "output_structure leads out of the output, or names what is no group",
    "Results land in one folder, or elsewhere.",
    "Name only the step's Metadata_ columns, and stay below the output.",
)
OUTPUT_OF_OTHERS = _rule(
    "output-of-others",
    _PLACES,
    "Another batch or another project publishes to the step's output, too",
    "Where both have a plate of one name: jobs of another batch are refused, results "
    "of another project replace those of this one.",
    "Give each an output of its own.",
    Severity.WARNING,
)
PLUGINS_MISSING = _rule(
    "plugins-missing",
    _PLACES,
    "The plugins folder is not there or empty",
    "Modules of plugins are unknown.",
    "Put the plugins there, or change steps.NAME.plugins.",
)
STORAGE = _rule(
    "storage",
    _PLACES,
    "A place cannot be read or written",
    "Jobs fail when they fetch or publish.",
    "Do as the message says: credentials, rights, the bucket's name, the disk.",
)
CELLPROFILER = _rule(
    "cellprofiler",
    _PLACES,
    "There is no CellProfiler that can be used",
    "Nothing runs.",
    "cpengine cellprofiler install, or name one in [cellprofiler].",
)
SCRATCH_SPACE = _rule(
    "scratch-space",
    _PLACES,
    "The scratch folder has less room than the jobs under way need",
    "Jobs fail with a full disk.",
    "Free some, or set executors.local.scratch to a larger disk.",
)
EXECUTOR = _rule(
    "executor",
    _PLACES,
    "The place where jobs shall run cannot be used",
    "Nothing starts, or machines wait for what is not there.",
    "Do as the message says.",
)
PLAIN_MODULES = _rule(
    "plain-modules",
    _PLACES,
    "Jobs run CellProfiler's own modules although accelerated ones are wanted",
    "The same results, later.",
    "Do as the message says, or set cellprofiler.exact to false.",
    Severity.NOTE,
)
OTHER = _rule(
    "input",
    _PLACES,
    "Something else about the input is wrong",
    "Jobs fail.",
    "Do as the message says.",
)
