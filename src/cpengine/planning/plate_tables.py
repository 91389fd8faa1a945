"""The tables of a step, as the LoadData of its pipeline takes them."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from cpengine import rules
from cpengine.config.steps import LOAD_DATA, Step
from cpengine.errors import InputError
from cpengine.inputs import table_checks
from cpengine.inputs.loaddata import Table, raise_any
from cpengine.inputs.pipeline import Pipeline
from cpengine.inputs.table_formats import names_of
from cpengine.inputs.table_groups import repeated_sites, spellings
from cpengine.planning.current_tables import CurrentTable, Deriver
from cpengine.planning.project import ResolvedProject
from cpengine.planning.table_origins import Origin
from cpengine.plates import PLATE
from cpengine.rules import Finding


@dataclass(frozen=True)
class PlateTables:
    """Reads the tables in the folders of plates, beside them, or derived ones."""

    project: ResolvedProject
    step: Step
    pipe: Pipeline
    deriver: Deriver
    derived: list[str] = field(default_factory=list)
    """The keys of tables that are missing or outdated, and were made."""
    taken: dict[Origin, str] = field(default_factory=dict)
    """The keys of tables of the user's that could be made of others, by origin."""
    keys: set[str] = field(default_factory=set)
    """Those of the tables that were read."""

    def folders(self, wanted: Collection[str]) -> list[str]:
        """The folders to read: where all wanted plates are folders, those alone."""
        folders, _ = self._contents
        named = [name for name in folders if name in wanted]
        return named if named and len(named) == len(wanted) else folders

    def beside(self, folders: Collection[str]) -> Iterator[Finding]:
        """Tables beside the folders of plates, where those alone are read."""
        workspace, (_, files) = self.project.places.workspace, self._contents
        if "" in folders:
            return
        names = {*names_of(LOAD_DATA), *names_of(self.step.data_file)}
        for name in sorted(names & files):
            yield rules.CSV_BESIDE.found(
                workspace.url(f"{self.step.data_folder}/{name}"),
                "lies beside the folders of plates, and is not read",
                "give it a folder of its own, or remove it",
            )

    def read(self, plate: str) -> Iterator[tuple[str, Callable[[], Table]]]:
        """The table in a plate's folder, or others that list it: keys, and readers.

        What is found of a table is in its notes. Of a plate without a table of its own,
        those that were read already are left out.

        Raises
        ------
        InputError
            There is none, or it is wrong.
        """
        key = self._key(plate)
        try:
            table = self._table(key)
        except InputError as error:
            missing = all(f.rule is rules.CSV_MISSING for f in error.findings)
            if not missing or self.project.file.project.plates == "all":
                raise
            others = [k for k, plates in self._plates_of.items() if plate in plates]
            if not others:
                raise
            for other in others:
                if other not in self.keys:
                    yield other, partial(self._table, other)
        else:
            held = [table]
            del table  # tables are large: the caller alone keeps it
            yield key, held.pop

    @cached_property
    def _contents(self) -> tuple[list[str], set[str]]:
        return self.project.plate_folders(self.step)

    @cached_property
    def _plates_of(self) -> dict[str, set[str]]:
        """The plates that each table lists, in any spelling, by its key."""
        found = {}
        folders = self.project.places.workspace.folders(self.step.data_folder)
        for key in map(self._key, ("", *folders)):
            with contextlib.suppress(InputError):
                found[key] = set(spellings(self.deriver.table(key), PLATE))
        return found

    def _key(self, folder: str) -> str:
        """The key of the table in the folder of a plate, as it is there."""
        return self.deriver.present(self.step.data_key(folder))

    def _table(self, key: str) -> Table:
        current = self.deriver.current(key)
        table = current.table
        if current.derived:
            self.derived.append(key)
        if self.pipe.loads.base[0].startswith("Default Output"):
            raise_any(table_checks.without_folder(table))
        self.keys.add(key)
        notes = [
            *self._take(key, current),
            *table.notes,
            *repeated_sites(table),
            *table_checks.other_plate(table, self.step.folder_of(key)),
        ]
        folder = self.project.places.workspace.url(self.step.input)
        base = self.pipe.image_base(folder if self.step.images_in_input else None)
        return replace(table, base=base, notes=tuple(notes))

    def _take(self, key: str, current: CurrentTable) -> Sequence[Finding]:
        """What is doubtful of a table of the user's that could be made of another."""
        if (found := self.deriver.taken(key, current)) is None:
            return ()
        origin, doubts = found
        self.taken[origin] = key
        return doubts
