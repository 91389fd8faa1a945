"""The tables that earlier steps were run with: whether they list other rows by now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cpengine.errors import InputError
from cpengine.group_names import id_of
from cpengine.planning import fingerprint
from cpengine.planning.current_tables import Deriver
from cpengine.planning.grouped_table import GroupedTable
from cpengine.planning.project import ResolvedProject
from cpengine.planning.step_results import StepResults


@dataclass(frozen=True)
class EarlierTables:
    """Compares the image sets of jobs that are done with those of today's tables.

    A table is read only if it is younger than their markers.
    """

    project: ResolvedProject
    deriver: Deriver
    _image_sets: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    def have_changed(
        self, results: StepResults, job_id: str, folder: str, keys: Sequence[str]
    ) -> bool:
        """Whether a done job of an earlier step would have other image sets now.

        Parameters
        ----------
        folder
            That of the table, among those of plates.
        keys
            The columns by which the step's pipeline groups; if none, its jobs are of
            whole tables, and nothing is compared.
        """
        key, done = self.project.table_key(results.step, folder), results.done[job_id]
        if not key or not keys:
            return False
        if self.deriver.written(key) <= max(made.time for made in done):
            return False
        if (results.step, key) not in self._image_sets:
            found = self._read(results, key, keys)
            self._image_sets[results.step, key] = found
        now = self._image_sets[results.step, key].get(job_id)
        made_of = [fingerprint.image_sets_of(d.marker.fingerprint) for d in done]
        return now is not None and not {now, ""} & {*made_of}

    def _read(
        self, results: StepResults, key: str, keys: Sequence[str]
    ) -> Mapping[str, str]:
        """By job, the part of its fingerprint that stands for its image sets."""
        try:
            sheet = GroupedTable.of(self.deriver.table(key), results.keys, keys)
        except InputError:  # told when that step is checked
            return {}
        return {id_of(group): sheet.fingerprint(group) for group in sheet.groups}
