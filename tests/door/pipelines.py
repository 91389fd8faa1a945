r"""Pipelines as each CellProfiler writes them: their modules, revisions and escapes.

The setting texts are those that CellProfiler shows (`modules.txt`); a module's revision
says how many there are, and in which order. How a file of each version looks:

- 2.2 (`Version:3`, a date): `|`, `[`, `]` and `:` as `\x7C`..., a backslash as four
- 3.0 (`Version:3`, 300): the same
- 3.1 (`Version:4`, 318): each value as the bytes of UTF-16, `\xff\xfeY\x00e\x00s\x00`
- 4.0 and later (`Version:5`): values as they are

Source: `cellprofiler_core/pipeline/io/_v5.py` and `Pipeline.setup_modules` 4.2.8.
"""

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

Values = Mapping[str, str | Sequence[str]]
AS_IS: Values = MappingProxyType({})
"""No other values than those below."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a pipeline."""

    name: str
    revision: int
    settings: tuple[tuple[str, str], ...]
    enabled: bool = True
    notes: str = "[]"

    def with_values(self, values: Values) -> "Module":
        """The module with other values; several for a setting that comes again."""
        left = {
            text: [value] if isinstance(value, str) else list(value)
            for text, value in values.items()
        }
        settings = tuple(
            (text, left[text].pop(0) if left.get(text) else value)
            for text, value in self.settings
        )
        assert not any(left.values()), (self.name, left)
        return replace(self, settings=settings)


def _setting(line: str) -> tuple[str, str]:
    text, _, value = line.partition(":")
    return text, value


def _known() -> dict[tuple[str, int], Module]:
    found = {}
    blocks = Path(__file__).with_name("modules.txt").read_text().rstrip("\n")
    for block in blocks.split("\n\n"):
        head, *lines = block.split("\n")
        name, number = head.split()
        module = Module(name, int(number), tuple(map(_setting, lines)))
        found[name, module.revision] = module
    for (name, revision), (base, place, added, values) in _LATER.items():
        module = found[name, base].with_values(values)
        settings = (*module.settings[:place], *added, *module.settings[place:])
        found[name, revision] = replace(module, revision=revision, settings=settings)
    return found


_LATER: Mapping[tuple[str, int], tuple[int, int, Sequence[tuple[str, str]], Values]] = {
    ("IdentifyPrimaryObjects", 14): (
        13,
        15,
        (("Display accepted local maxima?", "No"), ("Select maxima color", "Blue")),
        {"Threshold setting version": "11"},
    ),
    ("IdentifyPrimaryObjects", 15): (
        13,
        25,
        (("Log transform before thresholding?", "No"),),
        {"Threshold setting version": "12"},
    ),
    ("ExportToSpreadsheet", 13): (
        12,
        2,
        (("Add image file and folder names to your object data file?", "No"),),
        AS_IS,
    ),
}
"""Revisions that only add settings: to which, at which place, those, other values."""
KNOWN = _known()
"""Modules by name and revision."""


def module(name: str, revision: int, values: Values = AS_IS) -> Module:
    """A module of that revision with these values."""
    return KNOWN[name, revision].with_values(values)


def load_data(tags: str = "Plate,Well", values: Values = AS_IS) -> Module:
    """LoadData, grouping by these tags; by none if there are none."""
    grouping = {
        "Group images by metadata?": "Yes" if tags else "No",
        "Select metadata tags for grouping": tags,
    }
    return module("LoadData", 6, {**grouping, **values})


def measure(*modules: Module, tags: str = "Plate,Well") -> list[Module]:
    """A small pipeline of 4.2: load, what is given or an intensity, export."""
    own = modules or (module("MeasureImageIntensity", 4),)
    return [load_data(tags), *own, module("ExportToSpreadsheet", 13)]


def _escaped(text: str) -> str:
    """As CellProfiler 2 and 3.0 write a text."""
    return _marks(text.replace("\\", "\\\\\\\\").replace("'", "\\'"))


def _marks(text: str) -> str:
    """Escape what the format itself uses."""
    return re.sub(r"[:|\[\]]", lambda mark: f"\\x{ord(mark[0]):02X}", text)


def _utf16(text: str) -> str:
    """As CellProfiler 3.1 writes a value."""
    return _marks(repr(codecs.BOM_UTF16_LE + text.encode("utf-16-le"))[2:-1])


def _plain(text: str) -> str:
    return text


_FORMS = {
    "2.2": (3, "20160418141927", _escaped, _escaped),
    "3.0": (3, "300", _escaped, _escaped),
    "3.1": (4, "318", _escaped, _utf16),
    "4.0": (5, "400", _plain, _plain),
    "4.2": (5, "428", _plain, _plain),
    "5.0": (5, "500", _plain, _plain),
}
"""By version: the format's number, the revision, how texts and values are written."""


def written(modules: Sequence[Module], by: str = "4.2") -> str:
    """The `.cppipe` that this version of CellProfiler writes."""
    number, revision, text, value = _FORMS[by]
    git = "9969f42" if by == "2.2" else ""
    blocks = [
        "CellProfiler Pipeline: http://www.cellprofiler.org\n"
        f"Version:{number}\nDateRevision:{revision}\nGitHash:{git}\n"
        f"ModuleCount:{len(modules)}\nHasImagePlaneDetails:False\n"
    ]
    for position, each in enumerate(modules, 1):
        lines = [f"    {text(t)}:{value(v)}\n" for t, v in each.settings]
        blocks.append(_head(each, position, text) + "".join(lines))
    return "\n".join(blocks)


def _head(each: Module, position: int, text: object) -> str:
    """A module's first line; its attributes are Python's values."""
    unknown, notes, array = "'Unknown'", each.notes, "array([], dtype=uint8)"
    if text is _escaped:
        unknown, notes, array = map(_escaped, (unknown, notes, array))
    return (
        f"{each.name}:[module_num:{position}|svn_version:{unknown}|"
        f"variable_revision_number:{each.revision}|show_window:False|notes:{notes}|"
        f"batch_state:{array}|enabled:{each.enabled}|wants_pause:False]\n"
    )


def as_json(modules: Sequence[Module]) -> str:
    """The pipeline as CellProfiler 4.2 exports it to a `.json` file."""
    return json.dumps(
        {
            "has_image_plane_details": False,
            "date_revision": 428,
            "module_count": len(modules),
            "modules": [_as_dict(each, n) for n, each in enumerate(modules, 1)],
            "version": "v6",
        },
        indent=4,
    )


def _as_dict(each: Module, position: int) -> dict[str, object]:
    room = "cellprofiler_core" if each.name == "LoadData" else "cellprofiler"
    return {
        "attributes": {
            "module_num": position,
            "notes": [],
            "show_window": False,
            "wants_pause": False,
            "svn_version": "Unknown",
            "enabled": each.enabled,
            "variable_revision_number": each.revision,
            "batch_state": "array([], dtype=uint8)",
            "module_name": each.name,
            "module_path": f"{room}.modules.{each.name.lower()}.{each.name}",
        },
        "settings": [
            {"name": "cellprofiler_core.setting", "text": text, "value": value}
            for text, value in each.settings
        ],
    }
