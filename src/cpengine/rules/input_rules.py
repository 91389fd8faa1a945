"""Rules on what jobs read of earlier steps."""

from cpengine.rules.finding import Severity
from cpengine.rules.finding import rule as _rule

_EARLIER = "Results of earlier steps"

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
    "A file in the folder of an earlier step has no marker, though others have",
    "Only its size tells that it has changed.",
    "Use --force when such files change but not their size.",
    Severity.WARNING,
)
