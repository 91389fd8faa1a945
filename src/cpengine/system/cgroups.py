"""Where Linux keeps the limits and counts of the cgroups that we run in, cgroups(7)."""

from collections.abc import Iterator
from pathlib import Path


def folders(controller: str, proc: Path) -> Iterator[Path]:
    """The folders of our cgroup and of those above it, nearest first; none elsewhere.

    Those of v2 come before those of v1. Not each has the controller's files: in v2 it
    may be left to a cgroup above.

    Parameters
    ----------
    controller
        `memory`, `cpu` and so on.
    proc
        Where the proc file system is.
    """
    ours = dict(_paths(controller, proc))
    for version in ("cgroup2", "cgroup"):
        for root, mount in _mounts(controller, proc, version):
            if version in ours:
                # In a container the mount shows its own part of the whole only.
                below = Path(ours[version].removeprefix(root).strip("/"))
                yield from (mount / part for part in (below, *below.parents))


def _paths(controller: str, proc: Path) -> Iterator[tuple[str, str]]:
    """Kind of hierarchy and our path in it, from lines `4:memory:/path`, `0::/path`."""
    for line in lines(proc / "self/cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield "cgroup2", path
        elif controller in controllers.split(","):
            yield "cgroup", path


def _mounts(controller: str, proc: Path, version: str) -> Iterator[tuple[str, Path]]:
    """Root and place of each mount that may show the controller, mountinfo(5)."""
    for line in lines(proc / "self/mountinfo"):
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == version == "cgroup2" or (
            kind == version and controller in options.split(",")
        ):
            root, mount = before.split(" ")[3:5]
            yield root, Path(mount)


def lines(path: Path) -> list[str]:
    """The lines of one of the kernel's files; none if it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
