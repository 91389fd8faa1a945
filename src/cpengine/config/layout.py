"""Where a batch's files are, in the two path styles of Distributed-CellProfiler.

Source: `run_batch_general.py` 2.2.1, and the Cell Painting Gallery's data structure.
"""

import posixpath
from dataclasses import dataclass
from typing import Literal

Style = Literal["default", "cpg"]
OutputKind = Literal["zproj", "illum", "qc", "assaydev", "analysis"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Keys below the storage root for one batch of one project."""

    style: Style
    project: str
    batch: str
    source: str = ""
    """The nesting under the project, for the `cpg` style only (`source_4`)."""

    @property
    def base(self) -> str:
        """The project's folder."""
        if self.style == "cpg":
            return posixpath.join(self.project, self.source)
        return posixpath.join("projects", self.project)

    def workspace(self, *parts: str) -> str:
        """A place under the project's workspace."""
        return posixpath.join(self.base, "workspace", *parts)

    @property
    def pipelines(self) -> str:
        """The folder of the batch's pipelines."""
        return self.workspace("pipelines", self.batch)

    @property
    def load_data(self) -> str:
        """The folder with one folder of LoadData CSVs a plate."""
        return self.workspace("load_data_csv", self.batch)

    @property
    def batch_files(self) -> str:
        """The folder of `Batch_data.h5` files; the root itself in the cpg style."""
        return "" if self.style == "cpg" else self.workspace("batchfiles", self.batch)

    @property
    def rules(self) -> str:
        """CellProfiler's input folder: the QC rules."""
        return self.workspace("qc", self.batch, "rules")

    def ledger(self, step: str) -> str:
        """The folder of a step's markers and logs."""
        return self.workspace("cpengine", self.batch, step)

    def output(self, kind: OutputKind) -> str:
        """The folder under which results of that kind go."""
        if kind == "qc":
            return self.workspace("qc", self.batch, "results")
        if kind in ("assaydev", "analysis"):
            return self.workspace(kind, self.batch)
        folder = "images_projected" if kind == "zproj" else "illum"
        return posixpath.join(self._images, folder)

    @property
    def _images(self) -> str:
        if self.style == "cpg":
            return posixpath.join(self.base, "images", self.batch)
        return posixpath.join(self.base, self.batch)
