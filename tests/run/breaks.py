"""Ways to break the demo, one thing at a time."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cpengine.inputs import loaddata
from cpengine.planning import derive
from cpengine.storage.roots import BUCKET
from tests import build

BATCH = "2026_01_01_Batch1"
WORKSPACE = "projects/demo/workspace"
PIPELINES = f"{WORKSPACE}/pipelines/{BATCH}"
CSVS = f"{WORKSPACE}/load_data_csv/{BATCH}"
IMAGES = f"projects/demo/{BATCH}/images/DemoPlate1"
STEPS = ("qc", "illum", "analysis")

Break = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A broken project, and what must be found."""

    rule: str
    breaks: Break
    place: str
    cure: str
    steps: tuple[str, ...] = ("illum", "analysis")
    planes: bool = False


HDF5 = b"\x89HDF\r\n\x1a\n"


def csv(change: Callable[[list[list[str]]], object], name: str = "load_data") -> Break:
    """Change the rows of a plate's CSV, the header first."""

    def breaks(root: Path) -> None:
        path = root / CSVS / "DemoPlate1" / f"{name}.csv"
        rows = [line.split(",") for line in path.read_text().splitlines()]
        changed = change(rows)
        rows = changed if isinstance(changed, list) else rows
        path.write_text("".join(",".join(row) + "\n" for row in rows))

    return breaks


def text(change: Callable[[str], str], name: str = "load_data") -> Break:
    """Change a CSV's text."""

    def breaks(root: Path) -> None:
        path = root / CSVS / "DemoPlate1" / f"{name}.csv"
        path.write_bytes(change(path.read_text()).encode("utf-8", "surrogateescape"))

    return breaks


def cell(row: int, column: str, value: str, name: str = "load_data") -> Break:
    """Set one value; rows count from 1."""

    def change(rows: list[list[str]]) -> None:
        rows[row][rows[0].index(column)] = value

    return csv(change, name)


def column(name: str, value: str, file: str = "load_data") -> Break:
    """Set a whole column."""

    def change(rows: list[list[str]]) -> None:
        number = rows[0].index(name)
        for row in rows[1:]:
            row[number] = value

    return csv(change, file)


def renamed(old: str, new: str) -> Break:
    """Rename a column."""
    return csv(lambda rows: rows[0].__setitem__(rows[0].index(old), new))


def dropped(*names: str) -> Break:
    """Remove columns."""

    def change(rows: list[list[str]]) -> list[list[str]]:
        keep = [i for i, name in enumerate(rows[0]) if name not in names]
        return [[row[i] for i in keep] for row in rows]

    return csv(change)


def pipe(name: str, old: str, new: str) -> Break:
    """Put `new` for the first `old` of a pipeline."""

    def breaks(root: Path) -> None:
        path = root / PIPELINES / f"{name}.cppipe"
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))

    return breaks


def module(pipeline: str, name: str, settings: str = "") -> Break:
    """Add a module at the end."""

    def breaks(root: Path) -> None:
        path = root / PIPELINES / f"{pipeline}.cppipe"
        block = (
            f"\n{name}:[module_num:99|svn_version:'Unknown'|variable_revision_number:1|"
            "show_window:False|notes:[]|batch_state:array([], dtype=uint8)|"
            f"enabled:True|wants_pause:False]\n{settings}"
        )
        text = path.read_text().rstrip("\n") + "\n" + block
        path.write_text(_one_more(text))

    return breaks


def _one_more(text: str) -> str:
    """A pipeline's text with a count of modules that is one higher."""
    return re.sub(
        r"(?<=ModuleCount:)\d+", lambda found: str(int(found[0]) + 1), text, count=1
    )


def project(section: str, *lines: str) -> Break:
    """Add lines to a section of the project file."""

    def breaks(root: Path) -> None:
        path = root / "cpengine.toml"
        head, more = f"[{section}]\n", "".join(f"{line}\n" for line in lines)
        before = path.read_text()
        if head in before:
            path.write_text(before.replace(head, head + more, 1))
        else:
            path.write_text(f"{before}\n{head}{more}")

    return breaks


def layout(wells: str) -> Break:
    """Let qc take its groups from a plate layout with these wells."""
    return all_of(
        project("plate", f"wells = {wells}", "sites = 2"),
        project("steps.qc", 'groups = "layout"'),
    )


def setting(old: str, new: str) -> Break:
    """Change the project file."""

    def breaks(root: Path) -> None:
        path = root / "cpengine.toml"
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))

    return breaks


def with_illum(plate: str) -> Break:
    """Write the CSV that the illum step's functions are in, as of a plate."""

    def breaks(root: Path) -> None:
        folder = root / CSVS / "DemoPlate1"
        base = loaddata.parse((folder / "load_data.csv").read_text(), "load_data.csv")
        place = f"{BUCKET}/projects/demo/{BATCH}/illum"
        text = derive.with_illum(base, lambda of: f"{place}/{of}").to_csv()
        text = text.replace("DemoPlate1_Illum", f"{plate}_Illum")
        (folder / "load_data_with_illum.csv").write_text(text)

    return breaks


def image(name: str, change: Callable[[Path], object]) -> Break:
    """Change an image's file."""
    return lambda root: change(root / IMAGES / name)


def all_of(*breaks: Break) -> Break:
    """Break several things."""
    return lambda root: [change(root) for change in breaks]


def copied(path: str, to: str) -> Break:
    """Copy a folder."""
    return lambda root: shutil.copytree(root / path, root / to)


def touched(path: str) -> Break:
    """Make a file with something in it."""
    return lambda root: build.write(root / path, "x")


def remove(path: str) -> Break:
    """Remove a file or folder."""

    def breaks(root: Path) -> None:
        if (root / path).is_dir():
            shutil.rmtree(root / path)
        else:
            (root / path).unlink()

    return breaks


def halve(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def touch(path: Path) -> None:
    path.write_bytes(b"")


def _without(path: Path, name: str) -> None:
    blocks = path.read_text().split("\n\n")
    others = [block for block in blocks if not block.lstrip().startswith(f"{name}:")]
    path.write_text("\n\n".join(others) + "\n")
