"""Rules on what jobs read of earlier steps."""

from cpengine.rules.finding import Severity
from cpengine.rules.finding import rule as _rule

_EARLIER = "Results of earlier steps"

INPUT_UNFINISHED = _rule(
    "input-unfinished",
    _EARLIER,
    "A run of an earlier step was ended while it replaced its files",
    "Illumination functions of a plate can be half of one run and half of another.",
    "Run the earlier step first.",
)
INPUT_FAILED = _rule(
    "input-failed",
    _EARLIER,
    "A job of an earlier step failed, and yet its files are there",
    "They may be of a run that nobody knows of.",
    "Run the earlier step first.",
    Severity.WARNING,
)
INPUT_STALE = _rule(
    "input-stale",
    _EARLIER,
    "An earlier step's pipeline or image sets have changed since it made its files",
    "Results come from illumination functions that it would make in another way.",
    "Run the earlier step, too, in one command.",
    Severity.WARNING,
)
INPUT_REPLACED = _rule(
    "input-replaced",
    _EARLIER,
    "What an earlier step made was replaced by other hands",
    "Results come from other illumination functions than the ledger says.",
    "Run the jobs again, which are stale, or the earlier step with --force.",
    Severity.WARNING,
)
INPUT_UNMARKED = _rule(
    "input-unmarked",
    _EARLIER,
    "A file in the folder of an earlier step is named by no marker of it",
    "Only its size tells that it has changed.",
    "Use --force when such files change but not their size.",
    Severity.WARNING,
)
