"""What code that is not read may change of the names that a script has set. Pure."""

import ast
from collections.abc import Iterator, Mapping

from cpengine.dcp.values import Setting

ANY = "*"
"""Stands for every name."""
_READING = frozenset(
    {
        *("dict", "enumerate", "len", "list", "max", "min", "print", "range", "repr"),
        *("set", "sorted", "str", "sum", "tuple", "type", "zip"),
    }
)
_SETTING = frozenset({"eval", "exec", "globals", "locals", "setattr", "vars"})

DEFINITION = (ast.FunctionDef, ast.ClassDef)
Definition = ast.FunctionDef | ast.ClassDef


def of(statement: ast.stmt, known: Mapping[str, Setting]) -> set[str]:
    """The names that a statement may change: that it binds, or whose value it may.

    Parameters
    ----------
    known
        What has been set above.
    """
    nodes = list(ast.walk(statement))
    bound = {name for node in nodes for name in _bound(node)}
    return bound | _with_aliases(_changed(nodes), known)


def of_definition(definition: Definition, known: Mapping[str, Setting]) -> set[str]:
    """The names of the script that a function or class may change when it is used."""
    nodes = list(ast.walk(definition))
    shared = {
        name for node in nodes if isinstance(node, ast.Global) for name in node.names
    }
    changed = _changed(nodes) - (local_names(definition) - shared)
    return {definition.name, *shared} | _with_aliases(changed, known)


def local_names(definition: Definition) -> set[str]:
    """The names that a function binds: its parameters, and what it sets."""
    nodes = list(ast.walk(definition))
    parameters = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return parameters.union(*map(_bound, nodes))


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            for alias in aliases:
                yield alias.asname or alias.name.partition(".")[0]


def _changed(nodes: list[ast.AST]) -> set[str]:
    """Names whose values code may change without setting them."""
    return {name for node in nodes for part in _parts(node) for name in _used(part)}


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """What a piece of code may change: items of lists, arguments of calls."""
    match node:
        case ast.AugAssign(target=target):
            yield target
        case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
            yield value
        case ast.Call(func=ast.Attribute(value=ast.Constant())):
            return
        case ast.Call(func=ast.Name(id=name)) if name in _READING:
            return
        case ast.Call():
            yield node


def _used(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield ANY if each.id in _SETTING else each.id


def _with_aliases(names: set[str], known: Mapping[str, Setting]) -> set[str]:
    """Those of them whose values can change, with all that have the same value."""
    values = [known[name].value for name in names if name in known]
    lists = [value for value in values if isinstance(value, list | dict)]
    same = {n for n, s in known.items() if any(s.value is each for each in lists)}
    return same | names.intersection({ANY})
