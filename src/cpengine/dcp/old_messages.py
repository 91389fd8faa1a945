"""What the functions of an old `run_batch_general.py` send; they are read, not run.

Each version took other tables and arguments, and users edited the functions, too: only
what a function puts into its messages says what a script meant.
"""

import ast
import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cpengine.dcp import literals
from cpengine.dcp.values import Setting
from cpengine.errors import InputError

KEYS = ("pipeline", "output", "input", "data_file", "output_structure")
PLATE = "<plate>"
"""Stands for the plate's name in what a function sends."""
_COLUMN = re.compile(r"(Metadata_\w+)=")


@dataclass(frozen=True, slots=True)
class Template:
    """The message that a function makes of each group, as far as it can be read."""

    values: Mapping[str, Setting]
    notes: Sequence[str]
    """What could not be read, one line each."""


def python3(source: str) -> str:
    """The script as Python 3 reads it: the oldest print as Python 2 does, with tabs.

    Lines keep their numbers.
    """
    lines = source.expandtabs().split("\n")
    return "\n".join(map(_without_print, lines))


def _without_print(line: str) -> str:
    code = line.lstrip()
    if not code.startswith(("print ", "print'", 'print"')):
        return line
    return line[: len(line) - len(code)] + "pass"


def names(functions: Mapping[str, ast.FunctionDef]) -> set[str]:
    """The names that the messages of functions are made of."""
    nodes = [
        node
        for function in functions.values()
        for message in ast.walk(function)
        if isinstance(message, ast.Dict)
        for value in _entries(message).values()
        for node in ast.walk(value)
    ]
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    modules = {
        node.value.id
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    return used - modules


def template(
    function: ast.FunctionDef,
    call: ast.Call | None,
    known: Mapping[str, Setting],
    path: str,
    step: str,
) -> Template:
    """What a function sends when it is called so; without a call, by its defaults.

    Parameters
    ----------
    known
        What the script sets.
    path, step
        The script and the function's step as messages name them.
    """
    reader = _Reader(path, step, {**known, **_arguments(function, call, path)})
    found = list(reader.messages(function.body))
    if not found:
        reader.note(function, "sends no message that can be read")
    entries = _entries(found[0]) if found else {}
    values = dict(reader.values(entries))
    for message in found[:1]:
        values["group"] = Setting(
            _group(message, path), f"{path}:{message.lineno}: Metadata"
        )
    return Template(values, reader.notes)


def _group(message: ast.Dict, path: str) -> list[str]:
    """The columns that a message groups by: those whose names stand before a =."""
    values = _entries(message, ("Metadata",)).values()
    try:
        return _COLUMN.findall(" ".join(map(ast.unparse, values)))
    except RecursionError as error:
        raise InputError(
            f"{path}:{message.lineno}: Metadata: is too long to be read: write it in "
            "fewer parts"
        ) from error


def _entries(message: ast.Dict, keys: Collection[str] = KEYS) -> dict[str, ast.expr]:
    """Some entries of a message: those that name places."""
    return {
        str(key.value): value
        for key, value in zip(message.keys, message.values, strict=True)
        if isinstance(key, ast.Constant) and key.value in keys
    }


def _arguments(
    function: ast.FunctionDef, call: ast.Call | None, path: str
) -> dict[str, Setting]:
    """The values of a function's parameters, of those that are written out."""
    given = function.args
    parameters = [parameter.arg for parameter in given.args]
    nodes = dict(zip(parameters[::-1], given.defaults[::-1], strict=False))
    if call is not None:
        nodes |= dict(zip(parameters, call.args, strict=False))
        nodes |= {each.arg: each.value for each in call.keywords if each.arg}
    return {
        name: Setting(node.value, f"{path}:{node.lineno}: {name}")
        for name, node in nodes.items()
        if isinstance(node, ast.Constant)
    }


@dataclass
class _Reader:
    path: str
    step: str
    known: Mapping[str, Setting]
    notes: list[str] = field(default_factory=list)
    plate: str = ""
    """The name of the loop over plates."""

    def note(self, node: ast.stmt | ast.expr, what: str) -> None:
        text = literals.shown(node).removesuffix(":")
        self.notes.append(f"{self.path}:{node.lineno}: {self.step}: {text}: {what}")

    def messages(self, body: Sequence[ast.stmt]) -> Iterator[ast.Dict]:
        """The messages that a function comes to with its arguments."""
        for statement in body:
            match statement:
                case ast.For(target=ast.Name(id=name), iter=groups):
                    self._loop(statement, name, groups)
                    yield from self.messages(statement.body)
                case ast.If(test=test):
                    yield from self._branches(statement, self._holds(test))
                case ast.Assign(value=ast.Dict() as message):
                    yield message
                case ast.Expr(value=ast.Call(args=[ast.Dict() as message])):
                    yield message

    def _loop(self, loop: ast.For, name: str, groups: ast.expr) -> None:
        if not isinstance(groups, ast.Name):
            self.note(loop, "is not read: set project.plates and [plate]")
        if not self.plate:
            self.plate = name

    def _branches(self, choice: ast.If, holds: bool | None) -> Iterator[ast.Dict]:
        if holds is None:
            self.note(choice, "is not read: see which jobs `cpengine plan` makes")
        if holds is not False:
            yield from self.messages(choice.body)
        if holds is not True:
            yield from self.messages(choice.orelse)

    def _holds(self, test: ast.expr) -> bool | None:
        """Whether a condition holds; None if that depends on what cannot be read."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                holds = self._holds(inner)
                return None if holds is None else not holds
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
                sides = [self._read(left), self._read(right)]
                return None if None in sides else bool(sides[0] == sides[1])
        value = self._read(test)
        return None if value is None else bool(value)

    def _read(self, node: ast.expr) -> object:
        """A value; None if it would have to be run."""
        value: object = None
        with contextlib.suppress(InputError):
            value = literals.value(node, self.known, self.path)
        return value

    def values(self, entries: Mapping[str, ast.expr]) -> Iterator[tuple[str, Setting]]:
        """The values of a message; a note for each that would have to be run."""
        plate = Setting(PLATE, "")
        known = {**self.known, self.plate: plate} if self.plate else self.known
        for key, node in entries.items():
            try:
                value = literals.value(node, known, self.path)
            except InputError:
                self.note(
                    node,
                    f"is not read: {key} is left as cpengine has it: set "
                    f"steps.{self.step}.{key} if it is another",
                )
            else:
                yield key, Setting(value, f"{self.path}:{node.lineno}: {key}")
