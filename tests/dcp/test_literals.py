"""Python files are read as data; what would have to be run is refused or left out."""

import ast
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpengine.dcp import literals
from cpengine.errors import InputError

PATH = "config.py"


def settings(source: str) -> dict[str, Any]:
    return {k: s.value for k, s in literals.settings(source, PATH).items()}


def script(source: str, *wanted: str) -> dict[str, Any]:
    found = literals.script(literals.statements(source, PATH), PATH, wanted)
    return {name: setting.value for name, setting in found.items()}


def refusal(source: str) -> str:
    with pytest.raises(InputError) as caught:
        literals.settings(source, PATH)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("A = 'x'  # a remark", "x"),
        ('A = "x" "y"', "xy"),
        ("A = -3", -3),
        ("A = 3*60", 180),
        ("A = 4 * 1024 - 1", 4095),
        ("A = 44 / 2", 22),
        ("A = True", True),
        ("A = ['a', 'b']", ["a", "b"]),
        ("A = ('a', 2)", ["a", 2]),
        ("A = {'a': [1]}", {"a": [1]}),
        ("B = 'x'\nA = B + 'Queue'", "xQueue"),
        ("B = 2\nA = f'{B}_x'", "2_x"),
        ("A: str = 'x'", "x"),
        ("A = B = 'x'", "x"),
        ("A = 1\nA = 2", 2),
        ('"""About."""\nA = 1', 1),
        ("A = [1] + [2]", [1, 2]),
    ],
)
def test_data_is_read(source: str, expected: Any) -> None:
    assert settings(source)["A"] == expected


def test_a_setting_knows_its_line() -> None:
    found = literals.settings("\nA = 1\n", PATH)
    assert found["A"].where == "config.py:2: A"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("import os", "import os"),
        ("from config import *", "from config import *"),
        ("A = os.environ['A']", "os.environ['A']"),
        ("A = int('3')", "int('3')"),
        ("print('x')", "print('x')"),
        ("for a in 'x':\n    A = a", "for a in 'x':"),
        ("if True:\n    A = 1", "if True:"),
        ("def f():\n    pass", "def f():"),
        ("class A:\n    pass", "class A:"),
        ("A = [a for a in 'x']", "[a for a in 'x']"),
        ("A = lambda: 1", "lambda: 1"),
        ("A = 1 if 2 else 3", "1 if 2 else 3"),
        ("A = 'x' % 1", "'x' % 1"),
        ("A = 'x' * 3", "'x' * 3"),
        ("A = 2 ** 3", "2 ** 3"),
        ("A = 'x' + 1", "'x' + 1"),
        ("A = f'{1:02d}'", "f'{1:02d}'"),
        ("A = f'{1!r}'", "f'{1!r}'"),
        ("A = {**{}}", "{**{}}"),
        ("A = {1: 2}", "{1: 2}"),
        ("A = not True", "not True"),
        ("A, B = 1, 2", "A, B = (1, 2)"),
        ("A.b = 1", "A.b = 1"),
        ("A = 1\nA += 1", "A += 1"),
        ("A = (b := 1)", "(b := 1)"),
        ("A = list('x')", "list('x')"),
        ("A = '{}'.format(1)", "'{}'.format(1)"),
    ],
)
def test_code_is_refused(source: str, shown: str) -> None:
    line = refusal(source)
    number = 2 if source.startswith("A = 1\n") else 1
    what = "is code, not a setting: write the value"
    assert line == f"config.py:{number}: {shown}: {what}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("A = B", "config.py:1: B: is not set above: write the value"),
        ("A = f'{B}'", "config.py:1: B: is not set above: write the value"),
        ("A = None", "config.py:1: None: is not text, a number or a list"),
        ("A = b'x'", "config.py:1: b'x': is not text, a number or a list"),
        ("A = 1/0", "config.py:1: 1 / 0: divides by 0"),
        ("A = 1e300", "config.py:1: 1e+300: is too large"),
        ("A = 10**2", "config.py:1: 10 ** 2: is code"),
        ("A = '\\ud800'", "config.py:1: '\\ud800': is not text"),
        ("A = 'x", "config.py:1: is not Python (unterminated string"),
        ("\nA = = 1", "config.py:2: is not Python (invalid syntax): mend the line"),
        ("A = 1\0", "config.py:"),
        ("A = " + "[" * 5000, "config.py:"),
        ("A = " + "+".join("1" * 20_000), "config.py:"),
        ("A = " + "-" * 20_000 + "1", "config.py:"),
    ],
)
def test_what_is_no_data_is_reported_in_a_line(source: str, expected: str) -> None:
    line = refusal(source)
    assert line.startswith(expected)
    assert len(line) < 200


def test_sums_of_sums_do_not_grow_without_end() -> None:
    doubled = "A = 'xxxxxxxx'\n" + "A = A + A\n" * 64
    assert refusal(doubled).endswith("is too large: write a value that can be meant")
    assert "is too large" in refusal("A = 9\n" + "A = A * A\n" * 64)


LITERALS = st.recursive(
    st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(LITERALS)
def test_every_literal_comes_back(value: Any) -> None:
    assert settings(f"A = {value!r}")["A"] == value


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(source: str) -> None:
    with contextlib.suppress(InputError):
        literals.settings(source, PATH)


@pytest.mark.parametrize("call", ["__import__('os').abort()", "(lambda: exit())()"])
def test_nothing_is_run(call: str) -> None:
    assert "is code" in refusal(f"A = {call}")
    assert script(f"A = {call}") == {}


# Scripts: code is left out


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("A = range(1, 4)", [1, 2, 3]),
        ("A = list(range(3))", [0, 1, 2]),
        ("A = range(1, 9, 4)", [1, 5]),
        ("A = list(string.ascii_uppercase)[0:3]", ["A", "B", "C"]),
        ("A = list(string.ascii_uppercase)[:2]", ["A", "B"]),
        ("A = string.ascii_uppercase[24:]", "YZ"),
        ("A = list(range(1, 3)) + [7]", [1, 2, 7]),
        ("B = 'p'\nA = posixpath.join(B, os.path.join('x', 'y'))", "p/x/y"),
    ],
)
def test_the_few_calls_of_scripts_are_data(source: str, expected: Any) -> None:
    assert script(source, "A")["A"] == expected


def test_code_of_a_script_is_left_out() -> None:
    source = "import os\nB = os.getcwd()\n\ndef f():\n    A = 2\n\nA = 1\nf()\n"
    assert script(source, "A") == {"A": 1}


def test_a_name_that_code_has_changed_is_not_known() -> None:
    source = "B = 'x'\nB = input()\nA = B + 'y'"
    with pytest.raises(InputError, match=r"config.py:3: B: is not set above"):
        script(source, "A")


@pytest.mark.parametrize(
    "source",
    [
        "A = os.listdir('.')",
        "A = [1]\nA += [2]",
        "A = [1]\nA.append(2)",
        "A = [1]\nA[0] = 2",
        "if True:\n    A = 1",
        "for A in [1]:\n    pass",
        "A = range(10**9)",
        "A = range(1, 2, 0)",
        "A = range('x')",
        "A = list(3)",
        "A = [1, 2][::2]",
        "A = [1, 2]['x':]",
        "A = posixpath.join(1)",
    ],
)
def test_a_wanted_name_must_be_data(source: str) -> None:
    with pytest.raises(InputError, match=r"^config.py:\d: .*is code, not a setting"):
        script(source, "A")


def test_calls_are_those_that_the_script_itself_makes() -> None:
    source = "#F(batch=True)\nG()\nif x:\n    G(batch=True)\nH()\nx.I()\n"
    source += "def f():\n    J()\n"
    found = literals.calls(literals.statements(source, PATH))
    assert {name: list(map(ast.unparse, calls)) for name, calls in found.items()} == {
        "G": ["G()", "G(batch=True)"],
        "H": ["H()"],
    }
