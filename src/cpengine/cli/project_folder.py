"""Which project a command is about: the one named, or the nearest from here upwards."""

import contextlib
import os
import pwd
from pathlib import Path

import typer

from cpengine.config import FILE_NAME
from cpengine.errors import ConfigError


def of_option(context: typer.Context, folder: Path) -> Path:
    """The project's folder: as it is named, or the nearest. Raises as `nearest`."""
    source = context.get_parameter_source("folder")
    is_named = source is not None and source.name != "DEFAULT"
    return folder if is_named else nearest(folder)


def nearest(folder: Path) -> Path:
    """The folder, or the nearest above it, with a project file; if none has, itself.

    Raises
    ------
    ConfigError
        A folder above has a project file that somebody else has put there.
    """
    if os.path.lexists(folder / FILE_NAME):
        return folder
    try:
        parents = folder.absolute().parents
    except FileNotFoundError:  # the working folder is gone
        return folder
    above = next((p for p in parents if os.path.lexists(p / FILE_NAME)), None)
    if above:
        _check_owner(above / FILE_NAME)
    return above or folder


def _check_owner(file: Path) -> None:
    """Refuse what another user has laid above the folders where one works.

    A project file names what is run. In `/tmp`, and wherever many may write, it would
    be taken for the project of everybody's folders below.
    """
    uids = {os.lstat(file).st_uid}
    with contextlib.suppress(OSError):  # a link that leads nowhere is told of later
        uids.add(os.stat(file).st_uid)
    others = uids - {0, os.geteuid()}
    if others:
        raise ConfigError(
            f"{file}: belongs to {_name(min(others))}, so it is not taken for the "
            f"project of a folder below: if it is that, name it: -C {file.parent}"
        )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
