"""The script from before DCP 2.2.0: what it set and sent, as keys of the project."""

import ast
from pathlib import Path
from typing import Any

import pytest

from cpengine.dcp import batch_script, literals, old_batch_script
from cpengine.dcp.values import Found
from cpengine.errors import CpengineError
from tests.dcp.files import values
from tests.dcp.old_script import OLD_SCRIPT, function, other, plate_csv


def old(*changes: tuple[str, str]) -> dict[str, Any]:
    return values(old_batch_script.parse(changed(*changes), "old.py"))


def changed(*changes: tuple[str, str]) -> str:
    source = OLD_SCRIPT
    for before, after in changes:
        assert before in source
        source = source.replace(before, after)
    return source


OLD = {
    "project.name": "2015_Screen",
    "project.batch": "B1",
    "project.app_name": "screen",
    "project.plates": ["P1", "P2"],
    "steps.analysis.groups": "layout",
}


def test_an_old_script_is_read_but_not_run(tmp_path: Path) -> None:
    path = tmp_path / "run_batch_general.py"
    path.write_text(OLD_SCRIPT)
    found = batch_script.read(f"{path}")
    assert values(found) == OLD
    assert found.step == "analysis"
    assert found.settings["project.name"].where == f"{path}:9: topdirname"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("[0:16]", "[0:8]", {"plate.rows": list("ABCDEFGH")}),
        ("list(string.ascii_uppercase)[0:16]", "'AB'", {"plate.rows": ["A", "B"]}),
        ("range(1,25)", "range(1,4)", {"plate.columns": [1, 2, 3]}),
        ("range(1,10)", "list(range(1,5))", {"plate.sites": 4}),
        ("range(1,10)", "[2, 3]", {"plate.sites": [2, 3]}),
        ("well_digit_pad = True", "well_digit_pad = False", {"plate.pad_wells": False}),
        ("well_digit_pad = True", "well_bool = False", {"plate.pad_wells": False}),
        ("appname='screen'", "projectname='s'", {"project.app_name": "s"}),
        ("'analysis.cppipe'", "'a2.cppipe'", {"steps.analysis.pipeline": "a2.cppipe"}),
        (
            "csv_with_illumname = 'load_data_with_illum.csv'",
            "csv_with_illumname = 'x.csv'",
            {"steps.analysis.data_file": "x.csv"},
        ),
        (
            "'workspace/analysis'",
            "'out/'",
            {"steps.analysis.output": "projects/2015_Screen/out/B1"},
        ),
        (
            "'workspace/pipelines'",
            "'p'",
            {"steps.analysis.pipeline_path": "projects/2015_Screen/p/B1"},
        ),
        ("s(batch=False)\n", "s(batch=True)\n", {"steps.analysis.groups": "batch"}),
        ("s(batch=False)\n", "s(True)\n", {"steps.analysis.groups": "batch"}),
    ],
)
def test_variables_that_were_edited(
    before: str, after: str, expected: dict[str, Any]
) -> None:
    assert old((before, after)) == OLD | expected


def test_no_plates_are_all_plates() -> None:
    assert "project.plates" not in old(("['P1', 'P2']", "[]"))


@pytest.mark.parametrize("call", ["MakeQCJobs_persite", "MakeIllumJobs"])
def test_steps_are_those_whose_calls_are_not_commented_out(call: str) -> None:
    found = old(("MakeAnalysisJobs(batch=False)\n", f"{call}()\n"))
    step = "qc_persite" if "QC" in call else "illum"
    assert [key for key in found if key.startswith("steps.")] == [
        f"steps.{step}.groups"
    ]


def test_without_calls_it_is_for_all_steps() -> None:
    found = old(("\nMakeAnalysisJobs(batch=False)", "\n#MakeAnalysisJobs(batch=False)"))
    zproj = {key: value for key, value in found.items() if key.startswith("steps.z")}
    assert zproj == {
        "steps.zproj.groups": "layout",
        "steps.zproj.output": "projects/2015_Screen/B1/images",
        "steps.zproj.output_structure": "Metadata_Plate/Images",
    }
    groups = {key for key in found if key.endswith(".groups")}
    steps = ("zproj", "qc", "illum", "assaydev", "analysis")
    assert groups == {f"steps.{step}.groups" for step in steps}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("topdirname=", "x=", "old.py:25: startpath: is not set above"),
        ("['P1', 'P2']", "os.listdir('p')", "old.py:16: os.listdir('p'): is code"),
        ("['P1', 'P2']", "'P1'", "old.py:16: platelist: 'P1' is not a list"),
        ("['P1', 'P2']", "[1]", "old.py:16: platelist: [1] is not a list of texts"),
        ("range(1,25)", "12", "old.py:13: columns: 12 is not a list of whole numbers"),
        ("range(1,25)", "['1']", "old.py:13: columns: ['1'] is not a list of whole"),
        ("list(string.ascii_uppercase)[0:16]", "3", "old.py:12: rows: 3 is not text"),
        ("'B1'", "4", "old.py:25: os.path.join('workspace/pipelines', batc"),
        (
            "'projects'",
            "'/x'",
            "old.py:178: input: '/x/2015_Screen/workspace/qc/B1/rul",
        ),
        ("class JobQueue():", "class JobQueue(:", "old.py:4: is not Python"),
    ],
)
def test_what_is_wrong_in_an_old_script_is_reported_in_a_line(
    before: str, after: str, expected: str
) -> None:
    with pytest.raises(CpengineError) as caught:
        old((before, after))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(expected)


def test_another_script_is_refused() -> None:
    with pytest.raises(CpengineError, match=r"^old.py: topdirname: is not set, so"):
        old_batch_script.parse("import argparse\n", "old.py")


def test_the_tables_are_those_that_the_functions_send() -> None:
    """Until 2021-11 zproj took load_data.csv, until 2021-06 assaydev, too."""
    by_hand = plate_csv("'load_data.csv'")
    found = parsed(
        function(
            "MakeZprojJobs", "zproj", "Plate Well Site", ("if not batch", by_hand)
        ),
        function("MakeAssayDevJobs", "assaydev", "Plate Well", ("if True", by_hand)),
        calls="MakeZprojJobs()\nMakeAssayDevJobs()",
    )
    assert found["steps.zproj.data_file"] == "load_data.csv"
    assert found["steps.assaydev.data_file"] == "load_data.csv"
    assert found["steps.zproj.groups"] == found["steps.assaydev.groups"] == "layout"


BY_MODE = (
    ("if mode=='repurp'", plate_csv("'load_data.csv'")),
    ("elif mode=='batch'", "posixpath.join(batchpath,batchpipename)"),
    ("else", "posixpath.join(datafilepath,plate+'.csv')"),
)


def by_mode(calls: str) -> dict[str, Any]:
    """The steps of a script from before 2021-06."""
    sends = function(
        "MakeAnalysisJobs",
        "analysis",
        "Plate Well Site",
        *BY_MODE,
        parameter="mode='repurp'",
    )
    found = parsed(sends, variables="batchpipename='Batch_data.h5'", calls=calls)
    return {key: value for key, value in found.items() if key.startswith("steps.")}


def parsed(*functions: str, variables: str = "", calls: str) -> dict[str, Any]:
    source = other(*functions, variables=variables, calls=calls)
    return values(old_batch_script.parse(source, "old.py"))


def test_mode_batch_is_a_batch_file() -> None:
    assert by_mode("MakeAnalysisJobs(mode='batch')") == {
        "steps.analysis.groups": "batch",
        "steps.analysis.batch_file": "Batch_data.h5",
    }


def test_another_mode_is_no_batch_file() -> None:
    assert by_mode("MakeAnalysisJobs('repurp')") == by_mode("MakeAnalysisJobs()")
    assert by_mode("MakeAnalysisJobs()") == {
        "steps.analysis.groups": "layout",
        "steps.analysis.data_file": "load_data.csv",
    }


BY_REPURP = function(
    "MakeQCJobs",
    "qc",
    "Plate Well",
    ("if repurp==False", "posixpath.join(datafilepath,plate+'.csv')"),
    ("else", plate_csv("'load_data.csv'")),
    parameter="repurp=False",
)


def test_repurp_is_no_batch_file() -> None:
    found = parsed(BY_REPURP, calls="MakeQCJobs(repurp=True)")
    assert {key for key in found if key.startswith("steps.")} == {"steps.qc.groups"}
    assert found["steps.qc.groups"] == "layout"


def test_a_csv_beside_the_plates_folders_is_noted() -> None:
    found = old_batch_script.parse(other(BY_REPURP, calls="MakeQCJobs()"), "old.py")
    csvs = "projects/2015_Screen/workspace/load_data_csv/B1"
    (note,) = found.notes
    assert note.startswith("old.py:")
    assert note.endswith(
        f"qc took {csvs}/<plate>.csv, and cpengine takes a folder a plate: copy it to "
        f"{csvs}/<plate>/load_data.csv"
    )


def test_what_would_have_to_be_run_is_noted() -> None:
    sends = function(
        "MakeQCJobs",
        "qc",
        "Plate Well",
        ("if plate in chosen", "posixpath.join(datafilepath,folders[plate],csvname)"),
    ).replace("in platelist", "in platelist[1:]")
    found = old_batch_script.parse(other(sends, calls="MakeQCJobs()"), "old.py")
    loop, condition, table = [note.split(": ", 1)[1] for note in found.notes]
    assert loop.startswith("qc: for plate in platelist[1:]: is not read: ")
    assert condition.startswith("qc: if plate in chosen: is not read: ")
    assert table.endswith(
        "is not read: data_file is left as cpengine has it: set steps.qc.data_file if "
        "it is another"
    )


def test_other_groups_are_taken() -> None:
    sends = function("MakeQCJobs", "qc", "Plate", ("if True", plate_csv("csvname")))
    found = parsed(sends, calls="MakeQCJobs()")
    assert found["steps.qc.group"] == ["Metadata_Plate"]


def test_other_code_of_the_script_does_not_matter() -> None:
    aside = "names = os.listdir('x')\nos.chdir('y')"
    found = parsed(BY_REPURP, variables=aside, calls="MakeQCJobs(repurp=True)")
    assert found["steps.qc.groups"] == "layout"


def test_a_function_that_is_not_there_is_noted() -> None:
    found = old_batch_script.parse(other(calls="MakeQCJobs()"), "old.py")
    assert found.notes == (
        "old.py: MakeQCJobs: is not in it: qc is left as cpengine has it",
    )


ILLUM = """\
        if not batch:
            message = {
                'Metadata': 'Metadata_Plate='+plate,"""
"""How MakeIllumJobs comes to its message."""
SENT = "        queue.scheduleBatch(message)\n"


def illum(*changes: tuple[str, str], call: str = "MakeIllumJobs()") -> Found:
    """The usual script with edits, of which one step is called."""
    source = changed(("\nMakeAnalysisJobs(batch=False)\n", f"\n{call}\n"))
    for before, after in changes:
        assert before in source
        source = source.replace(before, after, 1)
    return old_batch_script.parse(source, "old.py")


def steps_of(found: Found) -> dict[str, Any]:
    got = values(found).items()
    return {k.removeprefix("steps.illum."): v for k, v in got if "illum." in k}


@pytest.mark.parametrize(
    ("change", "call", "expected"),
    [
        ((ILLUM, f"        illumpipename='x.cppipe'\n{ILLUM}"), "", "x.cppipe"),
        (("Jobs(batch=False)", "Jobs(batch=0, *, illumpipename='x')"), "", "x"),
        (("Jobs(batch=False)", "Jobs(illumpipename='x', /, batch=0)"), "", "x"),
        (
            ("Jobs(batch=False)", "Jobs(batch=0, illumpipename=csvname)"),
            "",
            "load_data.csv",
        ),
        (
            ("Jobs(batch=False)", "Jobs(batch=False, illumpipename='')"),
            "MakeIllumJobs(illumpipename=qcpipename)",
            "qc.cppipe",
        ),
    ],
)
def test_what_a_function_sets_itself_is_taken(
    change: tuple[str, str], call: str, expected: str
) -> None:
    change = (change[0].replace("Jobs(", "MakeIllumJobs("), change[1])
    change = (change[0], change[1].replace("Jobs(", "MakeIllumJobs("))
    found = illum(change, call=call or "MakeIllumJobs()")
    assert steps_of(found)["pipeline"] == expected
    assert not found.notes


NOTED = [
    (ILLUM, f"        platelist=['z1']\n{ILLUM}", "['z1']: is not read: set"),
    (ILLUM, f"        illumpipename=named()\n{ILLUM}", "posixpath.join(pipelinepath"),
    (
        "MakeIllumJobs(batch=False)",
        "MakeIllumJobs(platelist)",
        "for plate in platelist",
    ),
    ("MakeIllumJobs(batch=False)", "MakeIllumJobs(platelist=['z'])", "['z']: is not"),
    (SENT, f"        message['pipeline']='x'\n{SENT}", "message['pipeline'] = 'x'"),
    (SENT, f"        message.update(pipeline='x')\n{SENT}", "message.update("),
    (SENT, f"        csvname='x'\n{SENT}", "csvname = 'x'"),
    (SENT, f"{SENT}        queue.scheduleBatch({{'pipeline': 'x'}})\n", "{'pipeline'"),
    (SENT, "        queue.scheduleBatch(other)\n", "queue.scheduleBatch(other)"),
    (ILLUM, f"        return\n{ILLUM}", "return"),
    (ILLUM, f"        continue\n{ILLUM}", "continue"),
    (ILLUM, f"        del csvname\n{ILLUM}", "del csvname"),
    (ILLUM, f"        while wait(): pass\n{ILLUM}", "while wait()"),
    ("MakeIllumJobs(batch=False)", "MakeIllumJobs(illumpipename)", "posixpath.join("),
    ("MakeIllumJobs(batch=False)", "MakeIllumJobs(batch)", "if not batch"),
    ("MakeIllumJobs(batch=False)", "MakeIllumJobs(batch=ask())", "if not batch"),
    ("for plate in platelist", "for plate in others", "for plate in others"),
    ("for plate in platelist", "for batch, plate in all()", "for batch, plate in"),
    ("'Metadata_Plate='+plate,", "'Metadata_Plate=%s' % (plate),", "'Metadata_Plate="),
    ("'Metadata_Plate='+plate,", "f'Metadata_Plate={plate:>3}',", "f'Metadata_Plate="),
]


@pytest.mark.parametrize(("before", "after", "note"), NOTED)
def test_what_else_a_function_does_is_noted(before: str, after: str, note: str) -> None:
    start, *rest = changed().partition("def MakeIllumJobs")
    body, *end = "".join(rest).partition("\ndef MakeQCJobs(")
    assert before in body
    source = start + body.replace(before, after, 1) + "".join(end)
    source = source.replace("\nMakeAnalysisJobs(batch=False)", "\nMakeIllumJobs()")
    found = old_batch_script.parse(source, "old.py")
    assert any(f": illum: {note}" in each for each in found.notes), found.notes


@pytest.mark.parametrize("call", ["*each", "**each"])
def test_arguments_out_of_a_list_are_noted(call: str) -> None:
    note, *_ = illum(call=f"MakeIllumJobs({call})").notes
    assert note.endswith("is not read: see which jobs `cpengine plan` makes")


@pytest.mark.parametrize(
    "code",
    [
        "if __name__ == '__main__':\n    for f in [MakeIllumJobs]: f()",
        "def main():\n    MakeIllumJobs()\nmain()",
        "sent = MakeIllumJobs()",
    ],
)
def test_a_function_that_is_used_in_another_way_is_noted(code: str) -> None:
    notes = illum(call=code).notes
    assert any("MakeIllumJobs: is not read: see which steps" in each for each in notes)


CHANGES = [
    "del platelist[0]",
    "del platelist",
    "from plates import platelist",
    "import plates as platelist",
    "from plates import *",
    "p = platelist\np.append('P3')",
    "p = platelist\np += ['P3']",
    "platelist[0] = 'P3'",
    "random.shuffle(platelist)",
    "globals()['platelist'] = ['P3']",
    "exec('platelist = []')",
    "def add():\n    global platelist\n    platelist = []\nadd()",
    "def add():\n    platelist.append('P3')\nadd()",
    "def add():\n    exec('platelist = []', globals())\nadd()",
    "while platelist.pop(): pass",
    "with open('x') as platelist: pass",
]


@pytest.mark.parametrize("code", CHANGES)
def test_code_that_may_change_a_setting_is_refused(code: str) -> None:
    with pytest.raises(CpengineError, match=r"^old\.py:\d+: .*: (is code|may change)"):
        illum(("zprojpipename=", f"{code}\nzprojpipename="))


@pytest.mark.parametrize(
    "code",
    [
        "print(len(platelist), sorted(platelist), ', '.join(platelist))",
        "for plate in platelist:\n    print(plate)",
        "def show(platelist):\n    platelist.sort()\n    print(platelist)",
        "def show():\n    rows = []\n    rows.append(1)",
        "other = list(platelist)\nother.append('P3')",
        "os.makedirs(startpath + 'x', exist_ok=True)",
    ],
)
def test_code_that_changes_no_setting_is_passed_over(code: str) -> None:
    usual = illum()
    found = illum(("zprojpipename=", f"{code}\nzprojpipename="))
    assert values(found) == values(usual)
    assert not found.notes


def test_a_setting_that_changes_between_two_calls_is_refused() -> None:
    call = "MakeIllumJobs()\nbatchsuffix='B2'\nMakeAnalysisJobs()"
    with pytest.raises(CpengineError, match=r"batchsuffix = 'B2': is set after a call"):
        illum(call=call)


def test_a_tab_in_a_text_stays_one() -> None:
    found = illum(("'illum.cppipe'", "'a\tb.cppipe'"))
    assert steps_of(found)["pipeline"] == "a\tb.cppipe"


@pytest.mark.parametrize(
    "code",
    [
        "print ('x'); platelist=['p9']",
        "print 'x'; platelist=['p9']",
        "print ('x',\n       'y')\nplatelist=['p9']",
        "print 'a', \\\n    'b'\nplatelist=['p9']",
        "print('a', # b\n    'c')\nif batchsuffix: print 'd'\nplatelist=['p9']",
    ],
)
@pytest.mark.parametrize("more", ["", "print 'python 2'\n"])
def test_prints_of_both_pythons(code: str, more: str) -> None:
    found = illum(("platelist=['P1', 'P2']", f"{code}\n{more}"))
    assert found.settings["project.plates"].value == ["p9"]
    assert found.settings["project.plates"].where.startswith(
        f"old.py:{16 + code.count(chr(10))}:"
    )


def test_a_script_for_python_2_is_read() -> None:
    sends = BY_REPURP.replace(" " * 8, "\t")
    sends += "def say():\n    print 'sent', 1\n"
    found = parsed(sends, calls="MakeQCJobs(repurp=True)")
    assert found["steps.qc.groups"] == "layout"


@pytest.mark.parametrize("name", ["platelist", "rows", "columns", "topdirname"])
def test_lists_of_lists_do_not_grow_without_end(name: str) -> None:
    nested = "\n".join(["a = ['x']", *["a = [a, a]"] * 60, f"{name} = [a]"])
    with pytest.raises(CpengineError, match="a: is not set above"):
        literals.script(literals.statements(nested, "x.py"), "x.py", [name])


def test_what_is_too_deep_is_shown_as_nothing() -> None:
    deep = ast.parse("'p'" + "+'a'" * 500).body[0]
    assert literals.shown(deep) == ""


@pytest.mark.parametrize(
    "around", ['if __name__ == "__main__":\n    {}', "try:\n    {}\nfinally:\n    pass"]
)
def test_a_call_below_a_condition_is_one(around: str) -> None:
    *rest, call = OLD_SCRIPT.rstrip("\n").split("\n")
    assert call.startswith("MakeAnalysisJobs(")
    source = "\n".join([*rest, around.format(call)])
    assert values(old_batch_script.parse(source, "old.py")) == OLD


def test_a_function_that_is_called_twice_is_noted() -> None:
    call = OLD_SCRIPT.rstrip("\n").split("\n")[-1]
    found = old_batch_script.parse(f"{OLD_SCRIPT}\n{call}\n", "old.py")
    assert any("is called 2 times: the last one is taken" in n for n in found.notes)
