"""Our reading of a pipeline's text is CellProfiler's own, asked of CellProfiler."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpengine.cellprofiler.find import CellProfiler
from cpengine.inputs.pipeline import decode, parse

pytestmark = pytest.mark.cellprofiler

ASK = """
import json, logging, sys
from cellprofiler_core import preferences
from cellprofiler_core.pipeline import Pipeline
preferences.set_headless()
logging.disable(logging.CRITICAL)
read = []
def setup_module(self, attributes, module_name, module_number, settings, **other):
    read.append([module_name, settings])
Pipeline.setup_module = setup_module
Pipeline().load(sys.argv[1])
json.dump(read, sys.stdout)
"""
HEAD = (
    "CellProfiler Pipeline: http://www.cellprofiler.org\nVersion:{}\n"
    "DateRevision:300\nModuleCount:2\n"
)
PARTS = ["Yes", "", ":", "|", ",", r"\x7C", r"\x2C", r"\x00", r"\xff\xfe", r"\u00B5"]
PARTS += ["\\", r"\\", r"\\\\g<Plate>", r"\g<Well>", r"\x", "µ", "ÿ", "þ", " ", "\\n"]
LISTED = '\n"Version":1,"PlaneCount":1\n"URL","Series"\n"file:///a.tif",0\n'


def utf16(text: str) -> str:
    """As CellProfiler 3.1 wrote a setting."""
    written = text.encode("utf-16")
    return "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in written)


def pipelines() -> list[bytes]:
    """Settings that are put together at random, in files of each format."""
    values = [utf16("Plate,Well"), utf16("Default Output Folder|"), utf16("DNA µ")]

    @settings(max_examples=300, database=None)
    @given(st.lists(st.sampled_from(PARTS), max_size=6).map("".join))
    def collect(value: str) -> None:
        values.append(value)

    collect()
    text = HEAD + blocks(values)
    # A broken escape makes a file that is not UTF-8 unreadable as a whole.
    whole = [value for value in values if "\\" not in value.replace(r"\x7C", "")]
    return [
        text.format(5).encode(),
        text.format(4).replace("\n", "\r\n").encode(),
        text.format(3).replace("\n", "\r").encode(),
        (HEAD.format(3) + blocks([*whole, "µ"])).encode("latin-1"),
    ]


def blocks(values: list[str]) -> str:
    """Two modules with these settings, and a list of image files."""
    lines = "".join(f"    A setting?:{value}\n" for value in values)
    heads = "LoadData:[module_num:7|enabled:True]\n", "SaveImages:[a:1]\n"
    return "".join(f"\n{head}{lines}" for head in heads) + LISTED


def test_texts_are_read_as_cellprofiler_reads_them(
    cellprofiler: CellProfiler, tmp_path: Path
) -> None:
    for number, data in enumerate(pipelines()):
        file = tmp_path / f"{number}.cppipe"
        file.write_bytes(data)
        answer = subprocess.run(
            [str(cellprofiler.python), "-c", ASK, str(file)],
            capture_output=True,
            text=True,
            check=True,
        )
        ours = [
            [module.name, [value for _, value in module.settings]]
            for module in parse(decode(data, "p"), "p.cppipe").modules
        ]
        theirs = json.loads(answer.stdout)
        assert [name for name, _ in ours] == [name for name, _ in theirs]
        for (_, our_values), (_, their_values) in zip(ours, theirs, strict=True):
            assert our_values == their_values
