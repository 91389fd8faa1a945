"""Which wells of which plate are controls: as the project file or platemaps say."""

import csv
import io
from collections.abc import Iterable, Mapping

from cpengine.config.qc import QcSection
from cpengine.errors import InputError
from cpengine.results.qc.wells import normal
from cpengine.storage.store import Storage, as_text

Controls = Mapping[str, Mapping[str, frozenset[str]]]
"""By plate and control, its wells in their normal spelling."""

_NAMED, _TYPED = "control_type", "pert_type"
_TREATED = ("", "trt", "trt_cp", "treatment", "sample")
"""What stands for no control in the platemap's column."""
_PLATE, _MAP, _WELL = "assay_plate_barcode", "plate_map_name", "well_position"


def of_settings(settings: QcSection, plates: Iterable[str]) -> Controls:
    """The project file's controls, which hold for every plate."""
    named = settings.controls
    if isinstance(named, list):
        named = {"controls": named} if named else {}
    wells = {name: frozenset(map(normal, wells)) for name, wells in named.items()}
    return dict.fromkeys(plates, wells) if wells else {}


def of_platemaps(workspace: Storage, folder: str, plates: Iterable[str]) -> Controls:
    """The controls that platemaps name, in the handbook's layout.

    Parameters
    ----------
    folder
        The batch's: it has `barcode_platemap.csv` and `platemap/<map>.txt`.
    """
    index = workspace.read_if_there(f"{folder}/barcode_platemap.csv")
    if index is None:
        return {}
    rows = _rows(index, f"{folder}/barcode_platemap.csv", ",")
    maps = {row.get(_PLATE, ""): row.get(_MAP, "") for row in rows}
    known: dict[str, Mapping[str, frozenset[str]]] = {}
    for name in {maps[plate] for plate in plates if maps.get(plate)}:
        key = f"{folder}/platemap/{name}.txt"
        data = workspace.read_if_there(key)
        known[name] = _controls(_rows(data, key, "\t")) if data else {}
    found = {plate: known.get(maps.get(plate, ""), {}) for plate in plates}
    return {plate: controls for plate, controls in found.items() if controls}


def _rows(data: bytes, place: str, separator: str) -> list[dict[str, str]]:
    """A table's rows, with the names of columns in small letters."""
    text = as_text(data, place).lstrip("\ufeff")
    reader = csv.DictReader(io.StringIO(text), delimiter=separator, restval="")
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InputError(
            f"{place}: cannot be read ({error}): write it again"
        ) from error
    return [
        {
            name.strip().lower(): str(value).strip()
            for name, value in row.items()
            if name
        }
        for row in rows
    ]


def _controls(rows: Iterable[Mapping[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        name = row.get(_NAMED) or row.get(_TYPED, "")
        if name.lower() not in _TREATED and row.get(_WELL):
            found.setdefault(name, set()).add(normal(row[_WELL]))
    return {name: frozenset(wells) for name, wells in sorted(found.items())}
