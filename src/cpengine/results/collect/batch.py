"""One batch of a plate's jobs: parse their CSVs, key the rows, prove the counts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cpengine.model import Job
from cpengine.plates import PLATE, SITE, WELL
from cpengine.results.collect import csvs, join
from cpengine.results.collect.arrow import pa
from cpengine.results.collect.csvs import Csv, damaged
from cpengine.results.collect.join import NONE, Numbers, numbers
from cpengine.results.collect.kinds import merged
from cpengine.results.collect.names import (
    IMAGE,
    IMAGE_NUMBER,
    OBJECT_NUMBER,
    holds_numbers,
    number_column,
)
from cpengine.results.collect.spill import JOB, Spill


class Batch:
    """Parses the CSVs of several jobs into a spill.

    Parameters
    ----------
    jobs
        The jobs of the plate; `Csv.job` counts in it.
    """

    def __init__(self, number: int, jobs: Sequence[Job], spill: Spill) -> None:
        self._number = number
        self._jobs = jobs
        self._spill = spill
        self._images: Any = None
        self.not_tables: list[str] = []
        """Places of CSVs that are neither of images nor of objects."""

    def add(self, tables: dict[str, list[Csv]]) -> None:
        """Take in all CSVs of the batch, by table; leaves none in `tables`.

        Raises
        ------
        InputError
            A CSV is damaged, or two of a job contradict each other.
        """
        for name in sorted(tables, key=lambda name: (name != IMAGE, name)):
            self._add(name, tables.pop(name))

    def _add(self, name: str, found: list[Csv]) -> None:
        by_header: dict[str, list[Csv]] = defaultdict(list)
        for file in found:
            by_header[file.header].append(file)
        pieces, taken = [], []
        for same in by_header.values():
            columns = csvs.columns(name, same[0])
            if columns is None:
                self.not_tables += [file.place for file in same]
                continue
            pieces.append(self._piece(name, same, columns))
            headers = self._spill.headers.setdefault(name, {})
            headers.setdefault(same[0].header, []).extend(file.job for file in same)
            taken += same
        if not pieces:
            return
        self._spill.learn(name, [p.drop_columns([JOB]) for p in pieces], _rows(taken))
        table = merged(pieces)
        if len(pieces) > 1:
            table = table.take(np.argsort(numbers(table, JOB), kind="stable"))
        self._check(name, table, {file.job: file for file in taken})
        if name == IMAGE:
            self._images = table
        self._spill.put(name, self._number, table)

    def _piece(self, name: str, same: Sequence[Csv], columns: list[str]) -> Any:
        """The rows of CSVs with one header, keyed."""
        table = csvs.parse(same, columns)
        _check_numbers(table, same)
        if name != IMAGE and number_column(name) not in columns:
            table = table.append_column(number_column(name), table[OBJECT_NUMBER])
        jobs = np.repeat([file.job for file in same], [file.rows for file in same])
        table = table.append_column(JOB, pa.array(jobs.astype(np.int64)))
        return self._keyed(name, table)

    def _keyed(self, name: str, table: Any) -> Any:
        """Plate, well and site: what the job is of, else what Image.csv says."""
        jobs = numbers(table, JOB)
        groups = {job: self._jobs[job].shared_metadata for job in set(jobs.tolist())}
        image = None if name == IMAGE else self._image_rows(table)
        for key in (PLATE, WELL, SITE):
            if all(key in group for group in groups.values()) and groups:
                values = pa.array([groups[job][key] for job in jobs.tolist()])
            elif image is not None and key in self._images.column_names:
                values = self._images[key].take(pa.array(image, mask=image == NONE))
            else:
                continue
            table = _with(table, key, values)
        return table

    def _image_rows(self, table: Any) -> Numbers | None:
        """For each row its row in the batch's Image table; None if there is none."""
        if self._images is None:
            return None
        return join.rows(table, self._images, {JOB: JOB, IMAGE_NUMBER: IMAGE_NUMBER})

    def _check(self, name: str, table: Any, made: dict[int, Csv]) -> None:
        """Refuse rows that are there twice, and others than Image.csv counts."""
        keys = [JOB, IMAGE_NUMBER] + ([] if name == IMAGE else [OBJECT_NUMBER])
        again = join.twice(table, *keys)
        if again is not None:
            row = table.slice(again, 1).to_pylist()[0]
            values = ", ".join(f"{key[9:]} {row[key]}" for key in keys[1:])
            raise damaged(made[row[JOB]].place, f"has {values} twice")
        image = self._image_rows(table) if name != IMAGE else None
        if image is None:
            return
        jobs = numbers(table, JOB)
        unknown = (image == NONE) & np.isin(jobs, numbers(self._images, JOB))
        for row in np.flatnonzero(unknown)[:1]:
            number = table[IMAGE_NUMBER][int(row)].as_py()
            what = f"has rows of image {number}, which Image.csv has not"
            raise damaged(made[int(jobs[row])].place, what)
        self._check_counts(name, image, made)

    def _check_counts(self, name: str, image: Numbers, made: dict[int, Csv]) -> None:
        """CellProfiler writes as many rows for an image as Image.csv counts objects."""
        rows = np.bincount(image[image != NONE], minlength=self._images.num_rows)
        counted = numbers(self._images, f"Image_Count_{name}")
        of = numbers(self._images, JOB)
        for row in np.flatnonzero((counted != NONE) & (counted != rows)):
            if int(of[row]) in made:
                number = self._images[IMAGE_NUMBER][int(row)].as_py()
                raise damaged(
                    made[int(of[row])].place,
                    f"has {rows[row]} rows of image {number}, and Image.csv counts "
                    f"{counted[row]} {name}",
                )


def _rows(found: Iterable[Csv]) -> int:
    return sum(file.rows for file in found)


def _check_numbers(table: Any, made: Sequence[Csv]) -> None:
    """Refuse numbers of images and objects that are missing or text."""
    for name in filter(holds_numbers, table.column_names):
        column = table[name]
        key = name in (IMAGE_NUMBER, OBJECT_NUMBER)
        whole = pa.types.is_integer(column.type) and not column.null_count
        if (len(column) and key and not whole) or pa.types.is_string(column.type):
            last = f" (or one up to {made[-1].place})" if len(made) > 1 else ""
            what = f"has no whole number in each row of {name}{last}"
            raise damaged(made[0].place, what)


def _with(table: Any, name: str, values: Any) -> Any:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)
