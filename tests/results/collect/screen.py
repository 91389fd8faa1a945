"""Small screens whose jobs are done, with the CSVs that a test gives them."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cpengine.model import Failure, FailureKind, Job, Outcome
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.results.collect import done_jobs
from cpengine.results.collect.collector import Collector
from cpengine.results.collect.plate_csvs import Collected, PlateCsvs

VERSION = "4.2.8.1"
Value = str | int | float
Rows = Sequence[Mapping[str, Value]]


def csv_of(rows: Rows, header: Sequence[str] = ()) -> str:
    """A CSV with the line ends of CellProfiler's."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header or list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def image(number: int = 1, **more: Value) -> dict[str, Value]:
    return {"ImageNumber": number, **more}


def cells(count: int, start: float, number: int = 1, **more: Value) -> Rows:
    """Objects with one feature, by which they can be told apart."""
    return [
        {"ImageNumber": number, "ObjectNumber": n, "AreaShape_Area": start + n, **more}
        for n in range(1, count + 1)
    ]


def compartments(start: float, number: int = 1) -> dict[str, str]:
    """Three cells; their nuclei are numbered the other way round."""
    nuclei = cells(3, start + 100, number)
    bodies = cells(3, start, number)
    plasma = [
        {**row, "Parent_Cells": n, "Parent_Nuclei": 4 - n}
        for n, row in enumerate(cells(3, start + 200, number), 1)
    ]
    counts = {f"Count_{name}": 3.0 for name in ("Cells", "Cytoplasm", "Nuclei")}
    return {
        "Image.csv": csv_of([image(number, **counts)]),
        "Cells.csv": csv_of(bodies),
        "Nuclei.csv": csv_of(nuclei),
        "Cytoplasm.csv": csv_of(plasma),
    }


@dataclass(frozen=True, slots=True)
class Screen:
    """A project, and the results that its jobs are given."""

    project: Project
    scratch: Path
    step: str = "analysis"

    @property
    def jobs(self) -> dict[str, Job]:
        return {job.id: job for job in self.project.plan(self.step).jobs}

    def done(self, job_id: str, files: Mapping[str, str]) -> None:
        """Publish a job's files, and its marker."""
        job = self.jobs[job_id]
        outputs = self.project.places.outputs
        for name, text in files.items():
            outputs.write(f"{job.destination}/{name}", text.encode())
        sizes = {name: len(text) for name, text in files.items()}
        self._record(Outcome(job, files=sizes, versions={"cellprofiler": VERSION}))

    def failed(self, job_id: str) -> None:
        failure = Failure(FailureKind.CRASH, "it crashed")
        job = self.jobs[job_id]
        self._record(Outcome(job, failure, versions={"cellprofiler": VERSION}))

    def _record(self, outcome: Outcome) -> None:
        ledger = self.project.ledger(self.project.step(self.step))
        ledger.record(outcome)

    def plates(self, *names: str) -> list[PlateCsvs]:
        part = Part(plates=frozenset(names))
        return done_jobs.plates(self.project, self.step, part, VERSION)

    def collect(self, **options: bool) -> Collected:
        (plate,) = self.plates()
        collector = Collector(self.project.places.outputs, self.scratch, **options)
        return collector.collect(plate, lambda read: None)

    def folder(self, plate: str = "P1") -> str:
        return self.project.layout.workspace("backend", "B1", plate)

    def rows(self, table: str = "", plate: str = "P1") -> list[dict[str, Any]]:
        """The rows of one Parquet file."""
        return self.table(table, plate).to_pylist()

    def table(self, table: str = "", plate: str = "P1") -> Any:
        name = f"{plate}_{table}" if table else plate
        key = f"{self.folder(plate)}/{name}.parquet"
        return pq.read_table(io.BytesIO(self.project.places.outputs.read(key)))

    def files(self, plate: str = "P1") -> list[str]:
        return sorted(self.project.places.outputs.sizes(self.folder(plate)))
