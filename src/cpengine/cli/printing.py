"""The consoles, and what is printed on them."""

import json

import typer

from cpengine.system.terminal import Terminal

out = Terminal(soft_wrap=True)
err = Terminal(stderr=True)


def print_err(line: str) -> None:
    """Say something on stderr, as it stands."""
    err.print(line, soft_wrap=True)


def print_out(line: str) -> None:
    """Print a result, as it stands."""
    out.print(line)


def print_json(data: object) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(data, indent=1, default=str))
