"""The text of a `.cppipe`, cut into its blocks and put together again. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_COUNT = re.compile(r"^ModuleCount:\d+", re.MULTILINE)
_DETAILS = re.compile(r"^HasImagePlaneDetails:True", re.MULTILINE)
_NUMBER = re.compile(r"(?<=\[module_num:)\d+")
_HEAD = re.compile(r"(?P<module>\w+):\[module_num:")
CREATE_BATCH_FILES = """\
CreateBatchFiles:[module_num:0|svn_version:'Unknown'|variable_revision_number:8|\
show_window:False|notes:[]|batch_state:array([], dtype=uint8)|enabled:True|\
wants_pause:False]
    Store batch files in default output folder?:Yes
    Output folder path:/
    Are the cluster computers running Windows?:No
    Hidden- in batch mode:No
    Hidden- in distributed mode:No
    Hidden- default input folder at time of save:/
    Hidden- revision number:0
    Hidden- from old matlab:No
    Local root path:/
    Cluster root path:/"""


@dataclass(frozen=True, slots=True)
class PipelineText:
    """A pipeline's header, and a block of lines for each module."""

    header: str
    modules: Sequence[str]


def split(text: str) -> PipelineText:
    """Cut a `.cppipe` where modules begin; a list of images after them is left out."""
    header, *blocks = re.split(r"\n[ \t]*\n", "\n".join(text.splitlines()).strip())
    modules = [block.strip("\n") for block in blocks if _HEAD.match(block)]
    return PipelineText(header, modules)


def join(header: str, modules: Iterable[str]) -> str:
    """A `.cppipe` of these modules, numbered in their order."""
    numbered = [_NUMBER.sub(str(n), block, 1) for n, block in enumerate(modules, 1)]
    header = _COUNT.sub(f"ModuleCount:{len(numbered)}", header)
    header = _DETAILS.sub("HasImagePlaneDetails:False", header)
    return "\n\n".join([header, *numbered]) + "\n"


def module_name(block: str) -> str:
    """The module of a block."""
    head = _HEAD.match(block)
    return head["module"] if head else ""


def with_batch_file(text: str) -> str:
    """The pipeline with a CreateBatchFiles for this machine at its end.

    One of its own is left out: it may write elsewhere, or for other machines.
    """
    parts = split(text)
    own = (b for b in parts.modules if module_name(b) != "CreateBatchFiles")
    return join(parts.header, [*own, CREATE_BATCH_FILES])
