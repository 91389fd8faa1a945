"""CSVs that lie between steps and are made when missing.

The handbook makes both by hand: the projected `load_data.csv` after zproj, and
`load_data_with_illum.csv` after illum.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from cpengine import loaddata
from cpengine.errors import InputError
from cpengine.loaddata import Table
from cpengine.steps import LOAD_DATA, UNPROJECTED, WITH_ILLUM, Step
from cpengine.storage import BUCKET, Storage


@dataclass(frozen=True, slots=True)
class Deriver:
    """Reads a plate's CSVs, or derives them from those that are there."""

    storage: Storage
    step: Callable[[str], Step]
    """Gives a step by name, for the places where steps put their results."""

    def table(self, step: Step, plate: str) -> tuple[Table, bool]:
        """Give a plate's image sets, and whether they were derived.

        Raises
        ------
        InputError
            The CSV is missing and so is what it could be made from, or it is wrong.
        """
        table, derived = self._read(step.data_folder, plate, step.data_file)
        shown = str(self.storage.path(step.data_key(plate)))
        return replace(table, path=shown), derived

    def outdated(self, step: Step, plate: str) -> str | None:
        """Say if a CSV that could be derived anew lists other sites than its source."""
        if step.data_file != WITH_ILLUM:
            return None
        source = f"{step.data_folder}/{plate}/{LOAD_DATA}"
        if not self.storage.exists(source):
            return None
        base, table = (
            self._read(step.data_folder, plate, name)[0]
            for name in (LOAD_DATA, WITH_ILLUM)
        )
        if set(loaddata.sites(base)) == set(loaddata.sites(table)):
            return None
        return (
            f"{table.path} lists other sites than {LOAD_DATA} beside it: remove it to "
            "have it made again"
        )

    def _read(self, folder: str, plate: str, name: str) -> tuple[Table, bool]:
        key = f"{folder}/{plate}/{name}"
        if self.storage.exists(key):
            shown = str(self.storage.path(key))
            return loaddata.parse(self.storage.read_text(key), shown), False
        if name == WITH_ILLUM:
            base, _ = self._read(folder, plate, LOAD_DATA)
            return self._with_illum(base, plate), True
        source = f"{folder}/{plate}/{UNPROJECTED}"
        if name == LOAD_DATA and self.storage.exists(source):
            base, _ = self._read(folder, plate, UNPROJECTED)
            place = f"{self.step('zproj').output}/{plate}"
            return loaddata.projected(base, self._as_in(base, place)), True
        raise InputError(
            f"{self.storage.path(key)}: is not there: put the plate's CSV there"
        )

    def _with_illum(self, base: Table, plate: str) -> Table:
        place = f"{self.step('illum').output}/{plate}"
        present = self.storage.sizes(place) or None
        return loaddata.with_illum(base, self._as_in(base, place), plate, present)

    def _as_in(self, table: Table, key: str) -> str:
        """Write a place as the table writes its own: under DCP's mount, or locally."""
        paths = (image.path for image in table.images.values() if image.path)
        if any(table.rows[0][table.index[path]].startswith(BUCKET) for path in paths):
            return f"{BUCKET}/{key}"
        return str(self.storage.path(key))
