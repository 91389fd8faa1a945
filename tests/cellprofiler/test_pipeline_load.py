"""One process of CellProfiler's Python answers for many pipelines."""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.cellprofiler import load_answers, pipeline_load
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pipeline_load import LoadRequest, Prober
from cpengine.inputs import loaddata
from cpengine.storage.store import Storage
from tests.unreadable.damage import ANY, JSON

TABLE = loaddata.parse("FileName_A,PathName_A\na.tif,/a\n", "f.csv")
PROGRAM = """
    import json, os, sys, time
    for line in sys.stdin:
        text = open(os.path.join(line.rstrip(), "any.cppipe")).read()
        if text == "crash":
            os.kill(os.getpid(), 11)
        if text == "hang":
            time.sleep(600)
        if text == "noise":
            print("MySQL could not be loaded", flush=True)
        answer = dict.fromkeys(("newer", "without_mysqldb", "objections"), [])
        answer.update(error=None, failed=None, loaded=1)
        answer.update(pid=os.getpid(), text=text, argv=sys.argv[1:])
        if text == "other":
            answer = {"no": "answer"}
        answer["seed"] = os.environ["PYTHONHASHSEED"]
        print(json.dumps(answer), flush=True)
        if text == "last":
            sys.exit()
"""


@pytest.fixture
def prober(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prober]:
    """Asks our own Python, with a program that crashes and hangs as a module might."""
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path / "home"))
    program = tmp_path / "answers.py"
    program.write_text(textwrap.dedent(PROGRAM))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "runit.py").write_text("x = 1")
    python = CellProfiler(("cellprofiler",), "4.2.8", "", python=Path(sys.executable))
    workspace = Storage(str(tmp_path))
    with Prober(python, workspace, tmp_path, timeout_s=5, program=program) as made:
        yield made


def asked(text: str, plugins: str | None = None) -> LoadRequest:
    return LoadRequest(text, "p.cppipe", TABLE, "input", plugins, {"rules.txt"})


def pid(prober: Prober, text: str, plugins: str | None = None) -> int:
    answer = prober.ask(asked(text, plugins))
    assert answer is not None
    assert answer["text"] == text
    return int(answer["pid"])


def test_one_process_answers_for_all(prober: Prober) -> None:
    assert len({pid(prober, text) for text in ("a", "b", "c")}) == 1


@pytest.mark.parametrize("ends", ["crash", "hang", "noise", "other"])
def test_one_without_an_answer_does_not_take_the_others_with_it(
    prober: Prober, ends: str
) -> None:
    first = pid(prober, "a")
    assert prober.ask(asked(ends)) is None
    assert pid(prober, "b") != first


def test_process_that_has_ended_is_replaced(prober: Prober) -> None:
    assert pid(prober, "last") != pid(prober, "b")


def test_answers_are_stored(prober: Prober) -> None:
    first = pid(prober, "last")
    assert pid(prober, "last") == first


def test_an_answer_counts_for_the_seed_with_which_it_was_given(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    first = prober.ask(asked("last"))
    assert first is not None
    assert first["seed"] == "0"
    assert prober.ask(asked("last")) == first
    monkeypatch.setattr(pipeline_load, "HASH_SEED", {"PYTHONHASHSEED": "another"})
    assert prober.ask(asked("last")) != first


BROKEN = {**ANY, **JSON}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_damaged_answer_is_asked_for_again(
    prober: Prober, tmp_path: Path, kind: str
) -> None:
    pid(prober, "a")
    (stored,) = (tmp_path / "home/checked").iterdir()
    whole = stored.read_bytes()
    stored.write_bytes(BROKEN[kind](whole))
    pid(prober, "a")
    assert stored.read_bytes() == whole


def test_a_folder_where_an_answer_would_be_is_no_answer(
    prober: Prober, tmp_path: Path
) -> None:
    pid(prober, "a")
    (stored,) = (tmp_path / "home/checked").iterdir()
    stored.unlink()
    stored.mkdir()
    pid(prober, "a")


def test_the_newest_answers_alone_are_remembered(
    prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_answers, "MOST", 2)
    for text in ("a", "b", "c"):
        pid(prober, text)
    stored = [json.loads(p.read_text()) for p in (tmp_path / "home/checked").iterdir()]
    assert sorted(answer["text"] for answer in stored) == ["b", "c"]


def test_another_program_is_asked_anew(prober: Prober, tmp_path: Path) -> None:
    first = pid(prober, "last")
    other = tmp_path / "other/bin/python"
    other.parent.mkdir(parents=True)
    other.symlink_to(sys.executable)
    python = CellProfiler(("cellprofiler",), "4.2.8", "", python=other)
    program = tmp_path / "answers.py"
    with Prober(python, Storage(str(tmp_path)), tmp_path, program=program) as made:
        assert pid(made, "last") != first


def test_of_the_input_folder_named_files_alone_are_read(
    prober: Prober, tmp_path: Path
) -> None:
    """There may be a plate of images beside them."""
    for name in ("rules.txt", "image.tif"):
        path = tmp_path / "input/sub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    pid(prober, "a")
    copied = [path.name for path in tmp_path.glob("cpengine-*-check-*/1/input/sub/*")]
    assert copied == ["rules.txt"]


def test_other_plugins_get_another_process(prober: Prober) -> None:
    first = pid(prober, "a")
    assert pid(prober, "a", "plugins") != first
    answer = prober.ask(asked("b", "plugins"))
    assert answer is not None
    (folder,) = answer["argv"]
    assert Path(folder, "runit.py").read_text() == "x = 1"


def test_without_a_cellprofiler_nothing_is_asked(tmp_path: Path) -> None:
    with Prober(None, Storage(str(tmp_path)), tmp_path) as prober:
        assert prober.ask(asked("a")) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cellprofiler
def test_cellprofiler_answers_for_pipeline_after_pipeline(
    cellprofiler: CellProfiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path))
    head = "CellProfiler Pipeline: http://www.cellprofiler.org\nVersion:5\n"
    head += "DateRevision:428\nModuleCount:1\n\n"
    attributes = "[module_num:1|variable_revision_number:{}|enabled:True]\n"
    texts = {
        "Nope": head + "Nope:" + attributes.format(1),
        "newer": head + "MedialAxis:" + attributes.format(99),
        "sound": head + "MedialAxis:" + attributes.format(1),
    }
    with Prober(cellprofiler, Storage(str(tmp_path)), tmp_path) as prober:
        answers = {name: prober.ask(asked(text)) for name, text in texts.items()}
    assert None not in answers.values()
    nope, newer, sound = (answer or {} for answer in answers.values())
    assert (nope["error"], nope["failed"], nope["loaded"]) == (
        "Could not find the Nope module",
        "Nope",
        0,
    )
    assert newer["newer"] == [
        {"number": 1, "module": "MedialAxis", "revision": 99, "installed": 1}
    ]
    assert (sound["error"], sound["newer"], sound["loaded"]) == (None, [], 1)


@pytest.mark.cellprofiler
def test_what_a_plugin_lacks_is_asked_for_again_and_again(
    cellprofiler: CellProfiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPENGINE_HOME", str(tmp_path))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "runit.py").write_text("import not_installed")
    text = (
        "CellProfiler Pipeline: http://www.cellprofiler.org\nVersion:5\n"
        "DateRevision:428\nModuleCount:1\n\n"
        "RunIt:[module_num:1|variable_revision_number:1|enabled:True]\n"
    )
    with Prober(cellprofiler, Storage(str(tmp_path)), tmp_path) as prober:
        answer = prober.ask(asked(text, "plugins"))
    assert answer is not None
    assert answer["error"] == (
        "Could not find the RunIt module: ModuleNotFoundError: No module named "
        "'not_installed'"
    )
    assert not list((tmp_path / "checked").glob("*.json"))
