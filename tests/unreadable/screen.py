"""A plate that was really run, in this process, by a stand-in CellProfiler."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from typer.testing import CliRunner, Result

from cpengine.cli import app
from tests import build
from tests.build import Built

STEP = "qc"
WELLS = ("A01", "A02", "A03")
"""The job of the last one fails."""
WORKSPACE = "projects/proj/workspace"
_SCRIPT = '''\
#!{python} -IS
"""Measures one image set a job, and saves a picture of it."""
import base64, sys
from pathlib import Path

argv = sys.argv[1:]
if argv == ["--version"]:
    sys.exit(print("4.2.8.1"))
option = dict(zip(argv, argv[1:]))
group = dict(pair.split("=") for pair in option["-g"].split(","))
out, (plate, well) = Path(option["-o"]), group.values()
if well == "A03":
    sys.exit("ValueError: no such thing")
names = "Metadata_Plate,Metadata_Well,Metadata_Site,Count_Cells"
slope = "ImageQuality_PowerLogLogSlope_OrigDNA"
row = ",".join(("1", plate, well, "1", "2", "-2.5"))
(out / "Image.csv").write_text(f"ImageNumber,{{names}},{{slope}}\\n{{row}}\\n")
(out / "Cells.csv").write_text("ImageNumber,ObjectNumber,Area\\n1,1,7\\n1,2,9\\n")
(out / f"{{well}}_s1.png").write_bytes(base64.b64decode("{png}"))
done = "Image # 1, module LoadData # 1: CPU_time = 0.01 secs, Wall_time = 0.02 secs"
print(done, file=sys.stderr)
Path(option["-d"]).write_text("Complete\\n")
'''
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR4nGOsYIAAJgaKGAAj0ACI5/8d"
    "TgAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True, slots=True)
class Screen:
    """The project, and where its parts are."""

    root: Path

    def call(self, *arguments: str) -> Result:
        """Run a command on it."""
        return CliRunner().invoke(app, [*arguments, "-C", str(self.root)])

    def find(self, pattern: str) -> Path:
        """The first of its files that fit, by the order of their names."""
        return min(self.root.glob(pattern))


def program(folder: Path, besides: str = "") -> Path:
    """Write the stand-in, and what it does besides."""
    script = folder / "cellprofiler"
    script.write_text(_SCRIPT.format(python=sys.executable, png=_PNG) + besides)
    script.chmod(0o755)
    return script


def screen(root: Path, wells: Sequence[str] = WELLS) -> Screen:
    """A plate of some wells, of which nothing has run."""
    made: Built = build.project(
        root,
        pipeline=f"{STEP}.cppipe",
        data_file="load_data.csv",
        tags="Plate,Well",
        wells=wells,
        sites=("1",),
    )
    for image in made.images.iterdir():
        tifffile.imwrite(image, np.full((8, 8), 1000, np.uint16))
    return Screen(made.root)
