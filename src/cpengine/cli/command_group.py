"""Groups of commands, and commands that are imported when they are called.

What is imported to list commands is what each start of the program takes: typer alone.
"""

import gc
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cpengine.cli.exit_codes import BAD_INPUT
from cpengine.system.early_signals import ending_at_once

_COMMAND = f"{__name__}.command"
_FORCED = f"{__name__}.forced"


class _PlainTypes:
    """Has no words of Python in the help: no `<bool>` of flags, no `<list[str]>`."""

    def get_params(self, ctx: Any) -> list[Any]:
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # a mixin
        for parameter in found:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
            elif getattr(parameter, "multiple", False):
                parameter.metavar = "<str>"
        return found


class Command(_PlainTypes, TyperCommand):
    """A command that shows the steps or jobs there are, if it is called without."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            missing = getattr(error.param, "name", "")
            is_missing = type(error).__name__ == "MissingParameter"
            if not is_missing or missing not in ("step", "steps", "job"):
                raise
            from cpengine.cli import missing_argument  # it has much to import

            missing_argument.show(missing, ctx)
            raise typer.Exit(BAD_INPUT) from error


class Group(_PlainTypes, TyperGroup):
    """Keeps the words of the command that is called, where all groups see them."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        ctx.meta[_COMMAND] = f"{ctx.meta.get(_COMMAND, '')} {name}".strip()
        return name, command, rest


class Commands(Group):
    """Turns what a user can mend into lines and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] in (["-C"], ["--project"]):  # as git takes it, before the command
            args = args[2:] + args[:2]
        ctx.meta[_FORCED] = " --force" if "--force" in args else ""
        return super().parse_args(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with ending_at_once():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with ending_at_once():
            from cpengine.cli.user_errors import in_lines  # rich is slow to import
        with in_lines(lambda: ctx.meta.get(_COMMAND, "") + ctx.meta[_FORCED]):
            return super().invoke(ctx)


class ImportedCommand(Command):
    """A command, or a group of them, whose module is imported when it is called.

    Parameters
    ----------
    place
        The module below `cpengine.cli`, and in it a function, or `app` for a group
        that is called as the module is.
    help
        The first paragraph of what it says of itself; it is not listed without.
    """

    def __init__(self, place: str, help: str) -> None:
        self._module, _, self._attribute = place.rpartition(".")
        is_group = self._attribute == "app"
        name = self._module if is_group else self._attribute
        super().__init__(name.replace("_", "-"), help=help, hidden=not help)

    @cached_property
    def imported(self) -> Any:
        """The command itself."""
        found = getattr(_imported(f"cpengine.cli.{self._module}"), self._attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        app = typer.Typer(add_completion=False)
        app.command(self.name, cls=Command)(found)
        return typer.main.get_command(app)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with ending_at_once():
            return self.imported.make_context(*args, **extra)


def _imported(name: str) -> ModuleType:
    """Import a module, without looking for garbage among all that stays."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.enable()


class ImportedCommands(Commands):
    """A group whose commands are all imported when they are called."""

    places: Mapping[str, str] = {}
    """Where each is, and the first paragraph of its help."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for place, help in self.places.items():
            self.add_command(ImportedCommand(place, help))
