"""What each command says when Ctrl-C or SIGTERM ends it: what is true then."""

from collections.abc import Mapping

_UNCHANGED = "nothing was changed"
_RECORDED = "what is done is recorded; run again for the rest"
_SENT = "what was sent is written down; do it again for the rest"
_WHOLE = "files that were written are whole; do it again for the rest"

STOPPED: Mapping[str, str] = {
    "init": "do it again",
    "loaddata": _WHOLE,
    "check": _UNCHANGED,
    "explain": _UNCHANGED,
    "plan": _UNCHANGED,
    "estimate": "nothing was changed; jobs of a pilot that are done are recorded",
    "run": _RECORDED,
    "attach": "the run was not asked to stop; `cpengine cancel` does that",
    "cancel": "the run may have been asked to stop; see `cpengine status`",
    "status": _UNCHANGED,
    "logs": _UNCHANGED,
    "report": _WHOLE,
    "qc": _WHOLE,
    "montage": _WHOLE,
    "collect": _WHOLE,
    "demo": _RECORDED,
    "worker": "messages that it had come back by themselves",
    "exec-job": "the job was not done; it can be run again",
    "gallery check": _UNCHANGED,
    "cellprofiler install": "do it again",
    "cellprofiler show": _UNCHANGED,
    "aws setup": "what was made is written down; do it again, or `cpengine aws down`",
    "aws submit": _SENT,
    "aws import": _SENT,
    "aws start": "machines may come, and cost; `cpengine aws down` ends them",
    "aws monitor": "what is there goes on, and costs; `cpengine aws down` ends it",
    "aws suggest": _UNCHANGED,
    "aws down": "something may be left, and cost; do it again",
    "aws audit": _UNCHANGED,
}
"""By the words of the command."""
FORCED: Mapping[str, str] = {
    "run --force": "what is done is recorded; run again, without --force, for the rest"
}
"""Where --force makes a difference."""


def line(command: str) -> str:
    """What is said of a command; of none if it was not known yet which it is."""
    plain = STOPPED.get(command.removesuffix(" --force"), "nothing was begun")
    return f"stopped: {FORCED.get(command, plain)}"
