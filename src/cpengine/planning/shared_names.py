"""Jobs that share a folder, and a pipeline that names the files of each alike. Pure."""

import re
from collections.abc import Iterable, Iterator

from cpengine import rules
from cpengine.config.steps import Step
from cpengine.group_names import Group, id_of
from cpengine.output_structure import place_of, unnamed
from cpengine.rules import Finding

_TAG = re.compile(r"\\g<([^>]*)>")
"""How a pipeline has metadata in the name of a file."""


def clashes(
    step: Step, groups: Iterable[Group], names: Iterable[str]
) -> Iterator[Finding]:
    """Say which file two jobs of a step would both write.

    Parameters
    ----------
    names
        As `fixed_names` gives them.
    """
    if not (missing := unnamed(step.output_structure, step.group)):
        return
    groups = list(groups)
    for name in names:
        tags = {f"Metadata_{tag}" for tag in _TAG.findall(name)}
        known = tags <= set(step.group)  # others may differ from job to job
        if known and (two := _first_two(groups, _named(step, name))):
            yield rules.FILES_CLASH.found(
                f"steps.{step.name}.output_structure",
                f"{step.output_structure!r} gives {' and '.join(map(id_of, two))} one "
                f"folder, and the pipeline writes {name} for each",
                f"name {' and '.join(missing)} there, or in the pipeline's file names",
            )
            return


def _named(step: Step, name: str) -> str:
    """A file's name below the output, with the names of columns for values."""
    named = _TAG.sub(r"Metadata_\1", name)
    return f"{step.output_structure}/{named}"


def _first_two(groups: Iterable[Group], structure: str) -> tuple[Group, ...]:
    """The first two groups of one place; none if all have their own."""
    first: dict[str, Group] = {}
    for group in groups:
        other = first.setdefault(place_of(structure, group), group)
        if other is not group:
            return other, group
    return ()
