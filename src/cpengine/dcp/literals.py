"""Python files read as data: the names that they set to literals. Nothing is run."""

import ast
import math
import operator
import posixpath
import string
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from cpengine.dcp import changes
from cpengine.dcp.values import Setting, is_number
from cpengine.errors import InputError

CODE = "is code, not a setting: write the value"
_SET_LATE = (
    "is set after a call: set it once, and import what comes after it from a script "
    "of its own"
)
_MAY_SET = "may change what the script sets: write the values, and remove it"
_LARGEST = 10**15
_LONGEST = 10_000
_SHOWN = 60
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_CONSTANTS = {"string.ascii_uppercase": string.ascii_uppercase}
_JOINS = {"posixpath.join", "os.path.join"}


def settings(source: str, path: str) -> dict[str, Setting]:
    """The names that a file of settings sets, in order; the last value of each.

    Parameters
    ----------
    path
        The file as messages name it.

    Raises
    ------
    InputError
        It is no Python, or holds anything but names that are set to literals, to names
        set above, to numbers reckoned of them and to texts put together.
    """
    found: dict[str, Setting] = {}
    data = _Data(found)
    for statement in statements(source, path):
        if _is_remark(statement):
            continue
        try:
            names, node = assigned(statement)
            value = data.read(node)
        except NotDataError as error:
            raise error.to_error(path) from None
        for name in names:
            found[name] = Setting(value, f"{path}:{statement.lineno}: {name}")
    return found


def statements(source: str, path: str) -> list[ast.stmt]:
    """The statements of a script. Raises InputError if it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source).body
    except SyntaxError as error:
        raise InputError(
            f"{path}:{error.lineno or 1}: is not Python ({error.msg}): mend the line"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(
            f"{path}: is not Python ({error or 'nested too deeply'}): name another file"
        ) from error


def script(
    body: Sequence[ast.stmt],
    path: str,
    wanted: Collection[str],
    *,
    last: float = math.inf,
) -> dict[str, Setting]:
    """The names that a script sets to what can be read; all else in it is left out.

    Besides what `settings` reads, `range`, `list`, a part of a list, `posixpath.join`
    and `string.ascii_uppercase` are data here.

    Parameters
    ----------
    body
        See `statements`.
    wanted
        Names whose values must be read, where they are set.
    last
        The line after which they may not be set.

    Raises
    ------
    InputError
        A wanted name is set to something else, or may be changed by code.
    """
    found: dict[str, Setting] = {}
    data = _ScriptData(found)
    definitions = [each for each in body if isinstance(each, changes.DEFINITION)]
    for statement in body:
        if statement in definitions:
            continue
        try:
            names, node = assigned(statement)
            value = data.read(node)
        except NotDataError as error:
            changed = changes.of(statement, found)
            if changed.intersection([*wanted, changes.ANY]):
                raise error.to_error(path) from None
            for name in changed:
                found.pop(name, None)
            continue
        if statement.lineno > last and set(names).intersection(wanted):
            raise NotDataError(statement, _SET_LATE).to_error(path)
        for name in names:
            found[name] = Setting(value, f"{path}:{statement.lineno}: {name}")
    for each in definitions:
        if changes.of_definition(each, found).intersection([*wanted, changes.ANY]):
            raise NotDataError(each, _MAY_SET).to_error(path)
    return found


def value(node: ast.expr, known: Mapping[str, Setting], path: str) -> Any:
    """The value of an expression of a script, by the names that it has set.

    Raises
    ------
    InputError
        It would have to be run.
    """
    try:
        return _ScriptData(known).read(node)
    except NotDataError as error:
        raise error.to_error(path) from None


def functions(body: Iterable[ast.stmt]) -> dict[str, ast.FunctionDef]:
    """The functions that a script defines, by name."""
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def calls(body: Iterable[ast.stmt]) -> dict[str, list[ast.Call]]:
    """The calls of functions by name that a script itself makes, in order.

    Those below a condition, too, such as `if __name__ == "__main__"`.
    """
    found: dict[str, list[ast.Call]] = {}
    for statement in _outside_functions(body):
        match statement:
            case ast.Expr(value=ast.Call(func=ast.Name(id=name)) as call):
                found.setdefault(name, []).append(call)
    return found


def _outside_functions(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for statement in body:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.expr):
            yield from _outside_functions(ast.iter_child_nodes(statement))


class NotDataError(Exception):
    """Something that would have to be run."""

    def __init__(self, node: ast.expr | ast.stmt, why: str = CODE) -> None:
        super().__init__(why)
        self.node = node
        self.why = why

    def to_error(self, path: str) -> InputError:
        """The same as a line for the user."""
        return InputError(f"{path}:{self.node.lineno}: {shown(self.node)}: {self.why}")


def shown(node: ast.expr | ast.stmt) -> str:
    """The first line of a piece of code, as far as a message shows it."""
    try:
        text = ast.unparse(node).partition("\n")[0]
    except RecursionError:
        text = ""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _is_remark(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def assigned(statement: ast.stmt) -> tuple[list[str], ast.expr]:
    """The names that a statement sets, and to what."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if len(names) == len(targets):
                return names, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return [name], value
    raise NotDataError(statement)


class _Data:
    """Reads expressions of a file of settings."""

    def __init__(self, known: Mapping[str, Setting]) -> None:
        self.known = known

    def read(self, node: ast.expr) -> Any:
        """An expression's value. Raises NotDataError if it would have to be run."""
        try:
            return self.of(node)
        except RecursionError:
            raise NotDataError(node, "is nested too deeply: write the value") from None

    def of(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=str() | int() | float() as value):
                return _bounded(value, node)
            case ast.Constant():
                raise NotDataError(
                    node, "is not text, a number or a list: write one of them"
                )
            case ast.Name(id=name):
                if name not in self.known:
                    raise NotDataError(node, "is not set above: write the value")
                return self.known[name].value
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return _bounded([self.of(item) for item in items], node)
        return _bounded(self.made(node), node)

    def made(self, node: ast.expr) -> Any:
        """The value of an expression that puts others together."""
        match node:
            case ast.Dict(keys=keys, values=values):
                names = [self.of(key) for key in keys if key is not None]
                if len(names) == len(keys) and all(isinstance(n, str) for n in names):
                    return dict(zip(names, map(self.of, values), strict=True))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                value = self.of(operand)
                if is_number(value):
                    return -value if isinstance(sign, ast.USub) else value
            case ast.BinOp(left=left, right=right, op=op):
                return self._reckoned(node, self.of(left), self.of(right), op)
            case ast.JoinedStr(values=parts):
                return "".join(self._part(node, part) for part in parts)
        raise NotDataError(node)

    def _reckoned(self, node: ast.expr, left: Any, right: Any, op: ast.operator) -> Any:
        numbers = is_number(left) and is_number(right)
        joined = type(left) is type(right) in (str, list) and isinstance(op, ast.Add)
        if type(op) not in _OPERATIONS or not (numbers or joined):
            raise NotDataError(node)
        try:
            return _OPERATIONS[type(op)](left, right)
        except ZeroDivisionError:
            raise NotDataError(node, "divides by 0: write the value") from None

    def _part(self, node: ast.expr, part: ast.expr) -> str:
        """A part of an f-string."""
        match part:
            case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
                value = self.of(inner)
                if isinstance(value, str | int | float):
                    return str(value)
            case ast.Constant(value=str() as text):
                return text
        raise NotDataError(node)


class _ScriptData(_Data):
    """Reads the few calls, too, that scripts make lists and paths with."""

    def made(self, node: ast.expr) -> Any:
        match node:
            case ast.Attribute() if (name := ast.unparse(node)) in _CONSTANTS:
                return _CONSTANTS[name]
            case ast.Subscript(value=value, slice=ast.Slice(step=None) as part):
                return self._slice(node, self.of(value), part)
            case ast.Call(func=func, args=args, keywords=[]):
                return self._called(node, ast.unparse(func), list(map(self.of, args)))
        return super().made(node)

    def _slice(self, node: ast.expr, value: Any, part: ast.Slice) -> Any:
        ends = [self.of(end) if end else None for end in (part.lower, part.upper)]
        whole = all(end is None or isinstance(end, int) for end in ends)
        if not whole or not isinstance(value, str | list):
            raise NotDataError(node)
        return value[slice(*ends)]

    def _called(self, node: ast.expr, name: str, values: list[Any]) -> Any:
        kinds = {type(value) for value in values}
        if name == "list" and len(values) == 1 and kinds <= {str, list}:
            return list(values[0])
        if name in _JOINS and kinds == {str}:
            return posixpath.join(*values)
        if (
            name == "range"
            and kinds == {int}
            and len(values) <= 3
            and values[2:] != [0]
        ):
            numbers = range(*values)
            if len(numbers) <= _LONGEST:
                return list(numbers)
        raise NotDataError(node)


def _is_longer(value: Any, most: int) -> bool:
    """Whether a value has more parts than so many, with those of its parts."""
    parts, left = [value], most
    while parts and left >= 0:
        part = parts.pop()
        match part:
            case str():
                left -= len(part)
            case list() | tuple():
                left -= 1
                parts += part[: left + 1]
            case dict():
                left -= 1
                parts += list(part.values())[: left + 1]
            case _:
                left -= 1
    return left < 0


def _bounded(value: Any, node: ast.expr) -> Any:
    """The value itself; sums of sums may not grow without end."""
    if is_number(value):
        fits = abs(value) <= _LARGEST
    else:
        fits = isinstance(value, bool) or not _is_longer(value, _LONGEST)
    if not fits:
        raise NotDataError(node, "is too large: write a value that can be meant")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotDataError(node, "is not text: write it in UTF-8") from None
    return value
