"""Which table of a plate counts: the file that is there, or one made of its source.

A table that is missing is made. So is one that cpengine has made, when its source has
changed since, or the folders that it is to name. One that the user made or changed is
never made anew: if its source has changed since it was last used and it has not, the
user is asked which to take.
"""

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Self

from cpengine import rules
from cpengine.config.steps import LOAD_DATA, MADE_OF, WITH_ILLUM
from cpengine.errors import InputError
from cpengine.inputs import loaddata
from cpengine.inputs.loaddata import Table, raise_any
from cpengine.inputs.parsed_files import PARSED, InputFile
from cpengine.inputs.table_comparison import TableComparison
from cpengine.inputs.table_formats import ENDINGS, csv_name, is_csv, names_of
from cpengine.inputs.table_images import FILE
from cpengine.planning.derive import (
    channels,
    channels_with_functions,
    illum_name,
    misnamed,
    plates,
    projected,
    with_illum,
)
from cpengine.planning.project import ResolvedProject
from cpengine.planning.step_pipeline import local_entry
from cpengine.planning.table_origins import (
    How,
    Origin,
    TableOrigins,
    digest_of,
    place_of,
    short,
)
from cpengine.planning.table_places import TablePlaces
from cpengine.rules import Finding, Rule
from cpengine.storage.entry import Entry
from cpengine.storage.store import Storage

_TableFile = InputFile[Table]
_REMOVE = "remove it to have it made again"


def _remove(rule: Rule) -> str:
    return f'{_REMOVE}, or set check.{rule.name} = "off" to take it as it is'


def _name(key: str) -> str:
    """The name of the CSV that a table is or stands for."""
    return csv_name(posixpath.basename(key))


class CurrentTable(NamedTuple):
    """A table as it is to be read now."""

    table: Table
    content: str = ""
    """Digest of the file; empty if it is to be made."""
    source: str = ""
    """Digest of what it is made of, if it is to be."""

    @property
    def derived(self) -> bool:
        """Whether it is made of its source."""
        return not self.content


@dataclass(frozen=True)
class Deriver:
    """Reads a plate's CSVs, or derives them from those that are there."""

    places: TablePlaces
    """Where steps put their results."""
    workspace: Storage
    outputs: Storage
    origins: TableOrigins
    listed: dict[str, Mapping[str, Entry]] = field(default_factory=dict)
    """The files of folders that were listed."""
    results: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """The same of folders with results of steps."""

    @classmethod
    def of(cls, project: ResolvedProject) -> Self:
        """One for a project."""
        places = project.places
        made = TablePlaces(places, project.results_of)
        folder = project.layout.ledger(".tables")
        origins = TableOrigins(places.outputs, folder)
        return cls(made, places.workspace, places.outputs, origins)

    def table(self, key: str) -> Table:
        """The image sets of a CSV. Raises as `current`."""
        return self.current(key).table

    def current(self, key: str) -> CurrentTable:
        """Give the image sets of a CSV.

        Derived ones go by the path and lines of what they were made from.

        Raises
        ------
        InputError
            The CSV is missing and so is what it could be made from, or it is wrong.
        """
        file = self._file(key)
        if file is None:  # what is made is a CSV
            return self._derived(key, self._source(key) if is_csv(key) else None)
        made_of = self._made_of(key, file.content)
        source = self._source(key) if made_of else None
        if source and source.content not in made_of:
            return self._derived(key, source)
        table = file.parse()
        if self._is_outdated(key, table, file.content, made=bool(source)):
            return self._derived(key, source or self._source(key))
        return CurrentTable(table, file.content)

    def _file(self, key: str) -> _TableFile | None:
        """A table that is there: read if it is not known as the listing has it."""
        key = self.present(key)
        folder, name = posixpath.split(key)
        files = self._listing(folder) if self._is_listed(key) else {}
        if files and name not in files:  # without any, the folder may hide its files
            return None
        entry = files.get(name) or local_entry(self.workspace, key)
        file = PARSED.file(self.workspace, key, entry, loaddata.parse_bytes)
        return file and file._replace(content=short(file.content))

    def present(self, key: str) -> str:
        """The key of the file that is there of a table: it may be compressed, too."""
        folder, name = posixpath.split(key)
        files = self._listing(folder) if self._is_listed(key) else {}
        there = (posixpath.join(folder, n) for n in names_of(name) if n in files)
        return next(there, key)

    def _is_listed(self, key: str) -> bool:
        """Whether the folder of a table is listed; else the table is just read."""
        return posixpath.dirname(key) in self.listed or _name(key) in MADE_OF

    def _is_outdated(self, key: str, table: Table, content: str, *, made: bool) -> bool:
        """Whether a table of cpengine's names other folders or fewer than it would now.

        So does one that it made for another batch, and that was copied into this one.
        """
        if made and self._lacks_functions(key, table):
            return True
        if not (self._beside(key) and self._names_others(key, table)):
            return False
        return made or self.origins.made_in_another_batch(content)

    def _names_others(self, key: str, table: Table) -> bool:
        return self.places.names_others(_name(key), table)

    def write(self, key: str) -> bool:
        """Write a CSV that is to be derived; False if somebody else has put one there.

        Raises
        ------
        StorageError
            It cannot be written.
        """
        current = self.current(key)
        if not current.derived:
            return False
        data = current.table.to_csv().encode()
        origin = Origin(place_of(key), digest_of(data), current.source, How.MADE)
        self.origins.keep(origin, key)  # first: without it the table were the user's
        self.workspace.write(key, data, durable=True)
        PARSED.written(self.workspace, key, data, loaddata.parse_bytes)
        return True

    def taken(
        self, key: str, current: CurrentTable
    ) -> tuple[Origin, list[Finding]] | None:
        """Say if a table of the user's is not what its source would make of it.

        None for a table that cpengine made, or that could be made of none. The origin
        is to be kept when the table is used.
        """
        if current.derived or self._made_of(key, current.content):
            return None
        source = self._source(key)
        if source is None:
            return None
        origin = Origin(place_of(key), current.content, source.content, How.TAKEN)
        return origin, list(self._doubts(key, current.table, source))

    def _doubts(self, key: str, table: Table, source: _TableFile) -> Iterator[Finding]:
        try:
            basis = self._basis(key, source)
        except InputError:  # it does not matter to those who have the table
            return
        differs = TableComparison(table, basis, self.places.places.comparable)
        sites, values = differs.other_sites(), differs.other_values()
        known = {origin.source for origin in self.origins.of(key)}
        if known and source.content not in known:
            if wrong := sites or differs.lacking_image() or values:
                cause = f"{wrong}, which has changed since this table was last used"
                yield rules.CSV_OUTDATED.found(
                    table.path, cause, _remove(rules.CSV_OUTDATED)
                )
            return
        if sites:
            yield rules.CSV_OTHER_SITES.found(table.path, sites, _REMOVE)
        if values and _name(key) == WITH_ILLUM:
            rule = rules.CSV_OTHER_VALUES
            yield rule.found(table.path, values, _remove(rule))
        yield from self._own_functions(key, table)

    def _own_functions(self, key: str, table: Table) -> Iterator[Finding]:
        """Functions of the illum step, where a table names others."""
        if _name(key) != WITH_ILLUM or not self._names_others(key, table):
            return
        wanted = channels(table).values()
        for plate, files in self._functions(table).items():
            if any(illum_name(plate, channel) in files for channel in wanted):
                yield rules.CSV_ILLUM_ELSEWHERE.found(
                    table.path,
                    "names illumination functions of other folders than "
                    f"{self._functions_url(plate)}, where the illum step's are",
                    _remove(rules.CSV_ILLUM_ELSEWHERE),
                )
                return

    def _made_of(self, key: str, content: str) -> Collection[str]:
        """Of what cpengine has made a table; not asked where that is gone."""
        return self.origins.made_of(key, content) if self._beside(key) else ()

    def _beside(self, key: str) -> Sequence[str]:
        """Which tables are there that a table could be made of, the nearest first."""
        there = self._listing(posixpath.dirname(key)).keys()
        names = MADE_OF.get(_name(key), ())
        return [name for name in names if there & set(names_of(name))]

    def written(self, key: str) -> float:
        """When a table was written, in seconds since 1970; 0 if it is not there."""
        folder, name = posixpath.split(self.present(key))
        entry = self._listing(folder).get(name)
        return entry.time if entry else 0.0

    def _listing(self, folder: str) -> Mapping[str, Entry]:
        if folder not in self.listed:
            self.listed[folder] = self.workspace.entries(folder)
        return self.listed[folder]

    def _source(self, key: str) -> _TableFile | None:
        """What a table is or could be made of, if that is there."""
        found = self._beside(key)
        if not found:
            return None
        names = MADE_OF[_name(key)]
        place = posixpath.join(posixpath.dirname(key), names[0])
        if found == [names[0]]:
            return self._file(place)
        current = self.current(place)  # which may be made itself
        content = current.content or digest_of(current.table.to_csv().encode())
        return InputFile(content, lambda: current.table)

    def _derived(self, key: str, source: _TableFile | None) -> CurrentTable:
        if source is None:
            raise InputError(self._missing(key))
        table = self._basis(key, source)
        if _name(key) == WITH_ILLUM:
            table = self._with_illum(table, source)
        return CurrentTable(table, source=source.content)

    def _basis(self, key: str, source: _TableFile) -> Table:
        """The sites and images of which a table is to be."""
        table = source.parse()
        if _name(key) == WITH_ILLUM:
            return table
        folder = partial(self.places.as_in, table, "zproj")
        return self._made("zproj", source, lambda: projected(table, folder))

    def _made(
        self,
        step: str,
        source: _TableFile,
        make: Callable[[], Table],
        added: Sequence[str] = (),
    ) -> Table:
        """A table with results of a step, made once of the same source and results."""
        table, place = source.parse(), self.places.results_of(step)
        about = self.outputs.root, place, tuple(added)
        name = step, table.path, source.content, about
        return PARSED.once(name, table.text_size, make)

    def _missing(self, key: str) -> Finding:
        folder, name = posixpath.split(key)
        if name == WITH_ILLUM:
            key = f"{folder}/{LOAD_DATA}"
        there = self.workspace.sizes(folder)
        beside = sorted(n for n in there if n.endswith(ENDINGS))
        found = f" (its folder has {', '.join(beside)})" if beside else ""
        return rules.CSV_MISSING.found(
            self.workspace.url(key),
            f"is not there{found}",
            "put the plate's CSV there, or set the step's data_file",
        )

    def _with_illum(self, base: Table, source: _TableFile) -> Table:
        present = self._functions(base)
        raise_any(misnamed(base, present, self._functions_url))
        folder = partial(self.places.as_in, base, "illum")
        make = partial(with_illum, base, folder, present)
        return self._made("illum", source, make, channels_with_functions(base, present))

    def _lacks_functions(self, key: str, table: Table) -> bool:
        """Whether functions have appeared since a table of them was made."""
        if _name(key) != WITH_ILLUM:
            return False
        lacking = {
            channel
            for channel in channels(table).values()
            if f"{FILE}Illum{channel}" not in table.index
        }
        return bool(lacking) and any(
            illum_name(plate, channel) in files
            for plate, files in self._functions(table).items()
            for channel in lacking
        )

    def _functions(self, table: Table) -> dict[str, Mapping[str, int]]:
        """The files beside the illumination functions of each plate."""
        return {
            plate: self._results(self.places.key("illum", plate))
            for plate in set(plates(table)) - {""}
        }

    def _results(self, folder: str) -> Mapping[str, int]:
        if folder not in self.results:
            self.results[folder] = self.outputs.sizes(folder)
        return self.results[folder]

    def _functions_url(self, plate: str) -> str:
        return self.outputs.url(self.places.key("illum", plate))
