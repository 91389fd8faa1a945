"""A plate whose jobs a stand-in CellProfiler runs: quick, and the same every time."""

import csv
import io
import random
import sys
from pathlib import Path

from tests import build
from tests.chaos.roots import Files, Step, files_below

STEP = Step(
    "analysis",
    ledger="projects/proj/workspace/cpengine/B1/analysis",
    output="projects/proj/workspace/analysis/B1",
)
SLOWEST = "CHAOS_SLOWEST_S"
"""The variable with the seconds that the stand-in sleeps at the most."""
_SITES = ("1", "2", "3", "4")
_SCRIPT = '''\
#!{python} -IS
"""Takes CellProfiler's options; its output tells the images and the pipeline.

The name of the pipeline's objects is also that of a table, and how many pictures there
are depends on it. It is read as late as CellProfiler does.
"""
import csv, hashlib, os, random, re, sys, time
from pathlib import Path
from urllib.request import url2pathname

argv = sys.argv[1:]
if argv == ["--version"]:
    sys.exit(print("4.2.8.1"))
option = dict(zip(argv, argv[1:]))
group = dict(pair.split("=") for pair in option["-g"].split(","))
job, out = "-".join(group.values()), Path(option["-o"])
nap = random.uniform(0, float(os.environ.get("CHAOS_SLOWEST_S", "0"))) / 2
if nap and random.random() < 0.05:
    nap += 3  # others finish the job meanwhile
data = next(a.partition("=")[2] for a in argv if a.startswith("--data-file="))
with open(data, newline="") as file:
    rows = [r for r in csv.DictReader(file) if group.items() <= r.items()]
(row,) = rows
seen = hashlib.sha256(job.encode())
for name in ("URL_OrigDNA", "URL_IllumDNA"):
    seen.update(Path(url2pathname(row[name].removeprefix("file:"))).read_bytes())
print("Image # 1, module LoadData # 1: CPU_time = 0.01 secs, Wall_time = 0.02 secs")
sys.stdout.flush()
time.sleep(nap)
text = Path(option["-p"]).read_text()
seen.update(text.encode())
objects = re.search("to be identified:(.*)", text)[1]
(out / "outlines").mkdir()
for number, name in enumerate(("Cells", "Cytoplasm", objects)):
    line = job + "," + seen.hexdigest() + "," + name + "\\n"
    (out / (job + "_" + name + ".csv")).write_text(line * (80 + 60 * number))
took = random.choice(("0.1", "0.12", "0.123"))
table = "ImageNumber,ExecutionTime_01LoadData,Seen\\n1," + took + "," + seen.hexdigest()
(out / (job + "_Image.csv")).write_text(table + "\\n")
for number in range(6 + len(objects)):
    place = out / "outlines" / (job + "--" + str(number) + ".png")
    place.write_bytes(random.Random(line + str(number)).randbytes(3000))
time.sleep(nap)
Path(option["-d"]).write_text("Complete\\n")
'''


def program(folder: Path) -> Path:
    """Write the stand-in."""
    script = folder / "cellprofiler"
    script.write_text(_SCRIPT.format(python=sys.executable))
    script.chmod(0o755)
    return script


def inputs(folder: Path, jobs: int) -> Files:
    """The files of a plate with so many sites, each image another."""
    wells = [f"A{number:02d}" for number in range(1, jobs // len(_SITES) + 1)]
    built = build.project(folder, wells=wells, sites=_SITES)
    chance = random.Random(0)
    for image in sorted((*built.images.iterdir(), *built.illum.iterdir())):
        image.write_bytes(chance.randbytes(20_000))
    built.toml.unlink()
    return files_below(folder)


def contents(inputs: Files) -> tuple[Files, ...]:
    """What pipeline and table may be edited to, the first as they are."""
    (pipeline,) = (key for key in inputs if key.endswith(".cppipe"))
    (table,) = (key for key in inputs if key.endswith(".csv"))
    before = {key: inputs[key] for key in (pipeline, table)}
    objects = before[pipeline].replace(b"identified:Nuclei", b"identified:Spots")
    images = _shifted(before[table].decode()).encode()
    return before, before | {pipeline: objects}, before | {table: images}


def _shifted(table: str) -> str:
    """A table whose rows have the images of their neighbours."""
    rows = list(csv.DictReader(io.StringIO(table)))
    names = [row["FileName_OrigDNA"] for row in rows]
    moved = zip(rows, [*names[1:], names[0]], strict=True)
    return build.csv_text([row | {"FileName_OrigDNA": name} for row, name in moved])


def project_file(storage: str, script: Path, structure: str) -> str:
    """The project file, with what it says of the storage root."""
    output = f'output_structure = "{structure}"\n' if structure else ""
    return (
        f"{build.project_file().rstrip()}\n{storage}\n"
        f'[cellprofiler]\npath = "{script}"\n\n[steps.analysis]\n{output}'
    )
