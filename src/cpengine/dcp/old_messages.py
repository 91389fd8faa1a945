"""What the functions of an old `run_batch_general.py` send; they are read, not run.

Each version took other tables and arguments, and users edited the functions, too: only
what a function puts into its messages says what a script meant.
"""

import ast
import contextlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cpengine.dcp import changes, literals
from cpengine.dcp.values import Setting
from cpengine.errors import InputError

KEYS = ("pipeline", "output", "input", "data_file", "output_structure")
PLATE = "<plate>"
"""Stands for the plate's name in what a function sends."""
_COLUMN = re.compile(r"(Metadata_\w+)=")
_LOOPS = frozenset({"platelist", "rows", "columns", "sites"})
_OTHER_GROUPS = "is not read: set project.plates and [plate]"
_NOT_READ = "is not read: see which jobs `cpengine plan` makes"


@dataclass(frozen=True, slots=True)
class Template:
    """The message that a function makes of each group, as far as it can be read."""

    values: Mapping[str, Setting]
    notes: Sequence[str]
    """What could not be read, one line each."""


def names(functions: Mapping[str, ast.FunctionDef]) -> set[str]:
    """The names of the script that the messages of functions are made of."""
    return {
        name
        for function in functions.values()
        for name in _used(function) - changes.local_names(function)
    }


def _used(function: ast.FunctionDef) -> set[str]:
    nodes = [
        node
        for message in ast.walk(function)
        if isinstance(message, ast.Dict)
        for value in _entries(message).values()
        for node in ast.walk(value)
    ]
    modules = {
        node.value.id
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    return {node.id for node in nodes if isinstance(node, ast.Name)} - modules


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
    reader = _Reader(path, step, dict(known))
    reader.arguments(function, call)
    reader.read(function.body)
    if reader.message is None:
        reader.note(function, "sends no message that can be read")
    return Template(reader.values, reader.notes)


def _entries(message: ast.Dict, keys: Collection[str] = KEYS) -> dict[str, ast.expr]:
    """Some entries of a message: those that name places."""
    return {
        str(key.value): value
        for key, value in zip(message.keys, message.values, strict=True)
        if isinstance(key, ast.Constant) and key.value in keys
    }


def _given(function: ast.FunctionDef, call: ast.Call | None) -> dict[str, ast.expr]:
    """What each parameter of a function is set to, as far as it is."""
    of = function.args
    names = [parameter.arg for parameter in [*of.posonlyargs, *of.args]]
    found = dict(zip(names[::-1], of.defaults[::-1], strict=False))
    for parameter, default in zip(of.kwonlyargs, of.kw_defaults, strict=True):
        if default is not None:
            found[parameter.arg] = default
    if call is not None:
        found |= dict(zip(names, call.args, strict=False))
        found |= {each.arg: each.value for each in call.keywords if each.arg}
    return found


def _spread(call: ast.Call | None) -> bool:
    """Whether a call takes arguments out of a list or a mapping."""
    if call is None:
        return False
    starred = any(isinstance(each, ast.Starred) for each in call.args)
    return starred or any(each.arg is None for each in call.keywords)


@dataclass
class _Reader:
    """Follows a function, line by line, to the message that it sends."""

    path: str
    step: str
    known: dict[str, Setting]
    notes: list[str] = field(default_factory=list)
    plate: str = ""
    """The name of the loop over plates."""
    message: str | None = None
    """The name of the first message, once it is found."""
    values: dict[str, Setting] = field(default_factory=dict)
    """What that message says."""

    def note(self, node: ast.stmt | ast.expr, what: str) -> None:
        text = literals.shown(node).removesuffix(":")
        self.notes.append(f"{self.path}:{node.lineno}: {self.step}: {text}: {what}")

    def arguments(self, function: ast.FunctionDef, call: ast.Call | None) -> None:
        """Set a function's parameters, which hide what the script sets."""
        if call is not None and _spread(call):
            self.note(call, _NOT_READ)
        given = _given(function, call)
        read = {name: self._value(node) for name, node in given.items()}
        for parameter in ast.walk(function.args):
            if isinstance(parameter, ast.arg):
                self.known.pop(parameter.arg, None)
        for name, value in read.items():
            self._set(name, value, given[name])

    def read(self, body: Sequence[ast.stmt]) -> None:
        """Follow statements; a note for each that would have to be run."""
        for statement in body:
            match statement:
                case ast.For(target=ast.Name(id=name), iter=groups, orelse=[]):
                    self._loop(statement, name, groups)
                case ast.If(test=test):
                    self._branches(statement, self._holds(test))
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict() as sent):
                    self._sends(sent, name)
                case ast.Expr(value=ast.Call(args=[ast.Dict() as sent])):
                    self._sends(sent, "")
                case _ if not self._does_nothing(statement):
                    self._assign(statement)

    def _does_nothing(self, statement: ast.stmt) -> bool:
        """Whether a statement is one that all such functions have, or says nothing."""
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return True
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
                return True
            case ast.Assign(value=ast.Call(func=ast.Name(id="JobQueue"))):
                return True
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(attr="scheduleBatch"), args=[ast.Name(id=name)]
                )
            ):
                return name == self.message
        return False

    def _assign(self, statement: ast.stmt) -> None:
        """Follow a name that is set on the way; all else is noted."""
        if self.message is None:
            with contextlib.suppress(literals.NotDataError):
                (name,), node = literals.assigned(statement)
                self._set(name, self._value(node), node)
                return
        self.note(statement, _NOT_READ)
        for name in changes.of(statement, self.known):
            self.known.pop(name, None)

    def _set(self, name: str, value: object, node: ast.expr) -> None:
        """What cannot be read is unknown, and noted where a message has it."""
        if name in _LOOPS:
            self.note(node, _OTHER_GROUPS)
        self.known.pop(name, None)
        if value is not None:
            self.known[name] = Setting(value, f"{self.path}:{node.lineno}: {name}")

    def _loop(self, loop: ast.For, name: str, groups: ast.expr) -> None:
        known = _LOOPS.intersection(self.known)
        if not isinstance(groups, ast.Name) or groups.id not in known:
            self.note(loop, _OTHER_GROUPS)
        self.known.pop(name, None)
        if not self.plate:
            self.plate = name
            self.known[name] = Setting(PLATE, "")
        self.read(loop.body)

    def _branches(self, choice: ast.If, holds: bool | None) -> None:
        if holds is None:
            self.note(choice, _NOT_READ)
        if holds is not False:
            self.read(choice.body)
        if holds is not True:
            self.read(choice.orelse)

    def _holds(self, test: ast.expr) -> bool | None:
        """Whether a condition holds; None if that depends on what cannot be read."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                holds = self._holds(inner)
                return None if holds is None else not holds
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
                sides = [self._value(left), self._value(right)]
                return None if None in sides else bool(sides[0] == sides[1])
        value = self._value(test)
        return None if value is None else bool(value)

    def _value(self, node: ast.expr) -> object:
        """A value; None if it would have to be run."""
        value: object = None
        with contextlib.suppress(InputError):
            value = literals.value(node, self.known, self.path)
        return value

    def _sends(self, message: ast.Dict, name: str) -> None:
        """Take the first message; a note for each value that would have to be run."""
        if self.message is not None:
            self.note(message, "is one more message: only the first is taken")
            return
        self.message = name
        for key, node in _entries(message).items():
            try:
                value = literals.value(node, self.known, self.path)
            except InputError:
                self.note(
                    node,
                    f"is not read: {key} is left as cpengine has it: set "
                    f"steps.{self.step}.{key} if it is another",
                )
            else:
                where = f"{self.path}:{node.lineno}: {key}"
                self.values[key] = Setting(value, where)
        self._group(message)

    def _group(self, message: ast.Dict) -> None:
        """The columns that it groups by: those whose names stand before a =."""
        node = _entries(message, ("Metadata",)).get("Metadata")
        where = f"{self.path}:{message.lineno}: Metadata"
        try:
            text = ast.unparse(node) if node else ""
            if node and not _is_usual(node):
                self.note(node, "is not read: see which groups `cpengine plan` makes")
        except RecursionError as error:
            raise InputError(
                f"{where}: is too long to be read: write it in fewer parts"
            ) from error
        self.values["group"] = Setting(_COLUMN.findall(text), where)


def _is_usual(node: ast.expr) -> bool:
    """Whether a group is put together as all such scripts do it."""
    match node:
        case ast.Constant(value=str()) | ast.Name():
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_usual(left) and _is_usual(right)
        case ast.BinOp(left=ast.Constant(value=form), op=ast.Mod(), right=ast.Name()):
            return bool(form == "%02d")
        case ast.BinOp(left=ast.Name(), op=ast.Mod(), right=ast.Name()):
            return True
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name()], keywords=[]):
            return True
    return False
