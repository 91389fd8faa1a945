"""Run CellProfiler in a container: the command line of each runtime, and its end.

Everything has the same path inside as outside, so that nothing needs translating.
"""

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cpengine.system.usage import PROC, Sample, sample

RUNTIMES = ("docker", "podman", "apptainer", "singularity")
"""In the order in which they are looked for."""
FROM_FILES = ("apptainer", "singularity")
"""Those that run an image's file, as the child itself and not through a service."""
CODE = Path(__file__).parent
"""The folder of `host.py`."""

_REMOVE_S = 60.0
_NOTHING = Sample(0.0, 0, whole=False)
# A container goes on when the client that started it is killed: it ends when its
# standard input does. The first process of a container takes all others with it.
_GUARD = (
    'exec 3<&0; "$@" 3<&- </dev/null & run=$!; '
    '(cat <&3 >/dev/null; kill -KILL "$run") & wait "$run"'
)
_PROBE = 'cp=$(command -v cellprofiler) && realpath "$cp" && head -n 2 "$cp"'


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder that a container is given."""

    path: Path
    writable: bool = False

    def __str__(self) -> str:
        """As every runtime's `--mount` reads it: one line of CSV."""
        place = str(self.path)
        fields = ["type=bind", f"source={place}", f"destination={place}"]
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(
            fields if self.writable else [*fields, "ro"]
        )
        return text.getvalue()


@dataclass(frozen=True, slots=True)
class Container:
    """An image, and what runs it."""

    image: str
    runtime: str
    """The program, whose name says how it is talked to."""
    mounts: tuple[Mount, ...] = ()

    @property
    def kind(self) -> str:
        """Which one of RUNTIMES it is."""
        return Path(self.runtime).name

    def sees(self, path: Path | str) -> bool:
        """Whether a file or folder is there in the container, too."""
        place = Path(path).resolve()  # what a link leads to must be there as well
        return any(place.is_relative_to(m.path.resolve()) for m in self.mounts)

    def probe_command(self) -> list[str]:
        """A program that tells CellProfiler's script and its first two lines."""
        return self.command(["sh", "-c", _PROBE])

    def command(
        self,
        argv: Sequence[str],
        *,
        name: str = "",
        environ: Mapping[str, str] | None = None,
        folder: Path = Path("/"),
    ) -> list[str]:
        """The argv that runs a program of the image.

        Parameters
        ----------
        name
            The container's, by which it can be removed.
        environ
            What the image does not set by itself; nothing of ours gets in.
        """
        if self.kind in FROM_FILES:
            return self._from_file(argv, environ or {}, folder)
        program, *arguments = argv
        return [
            *(self.runtime, "run", "--rm", "--interactive", "--pull=never"),
            *([f"--name={name}"] if name else []),
            *("--network=none", "--security-opt=label=disable", *self._user()),
            f"--workdir={folder}",
            *(f"--env={key}={value}" for key, value in (environ or {}).items()),
            *(f"--mount={mount}" for mount in self._ordered()),
            *(f"--entrypoint={program}", self._reference(), *arguments),
        ]

    def _from_file(
        self, argv: Sequence[str], environ: Mapping[str, str], folder: Path
    ) -> list[str]:
        # They have a home folder of their own, and refuse another one.
        named = {key: value for key, value in environ.items() if key != "HOME"}
        return [
            *(self.runtime, "exec", "--containall", "--net", "--network=none"),
            f"--pwd={folder}",
            *(f"--env={key}={value}" for key, value in named.items()),
            *(f"--mount={mount}" for mount in self._ordered()),
            *(self._reference(), *argv),
        ]

    def _user(self) -> list[str]:
        """Let what is written belong to the user, and the user's groups count."""
        user, group = os.getuid(), os.getgid()
        own = [f"--user={user}:{group}"]
        if self.kind == "podman" and user != 0:
            return [*own, "--userns=keep-id", "--group-add=keep-groups"]
        others = sorted(set(os.getgroups()) - {group})
        return own + [f"--group-add={other}" for other in others]

    def _ordered(self) -> list[Mount]:
        """Each folder once, those that hold others first."""
        writable: dict[Path, bool] = {CODE: False}
        for mount in self.mounts:
            known = writable.get(mount.path, False)
            writable[mount.path] = mount.writable or known
        return [Mount(path, writable[path]) for path in sorted(writable)]

    def _reference(self) -> str:
        """The image as its runtime wants it named."""
        if self.kind in FROM_FILES:
            bare = not is_file(self.image) and "://" not in self.image
            return f"docker://{self.image}" if bare else self.image
        name = self.image.removeprefix("docker://")
        host, slash, _ = name.partition("/")
        local = not slash or host == "localhost" or "." in host or ":" in host
        # Podman asks nobody, or several, for a name without its registry.
        return name if self.kind == "docker" or local else f"docker.io/{name}"


@dataclass(slots=True)
class RunningContainer:
    """One container, from its start to its end."""

    container: Container
    name: str = field(
        default_factory=lambda: f"cpengine-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    )
    _leader: int = 0

    def read(self, client: int) -> Sample:
        """What its processes hold and have used.

        They are not the client's children but the service's, if there is one. Where
        that service is on another machine, a virtual one included, nothing is known.
        """
        if self.container.kind in FROM_FILES:
            return sample(client)
        self._leader = self._leader or self._first_process()
        return sample(self._leader) if self._leader else _NOTHING

    def end(self) -> None:
        """Remove it, in whatever state it is."""
        kind = self.container.kind
        if kind in FROM_FILES:
            return
        at_once = ["--time=0"] if kind == "podman" else []
        self._ask("rm", "--force", *at_once, self.name)

    def _first_process(self) -> int:
        """The number of its first process here; 0 if it has none yet."""
        text = self._ask("inspect", "--format={{json .State.Pid}}", self.name)
        with contextlib.suppress(ValueError):
            number = json.loads(text)
            return number if is_first_of_its_own(number) else 0
        return 0

    def _ask(self, *arguments: str) -> str:
        """What the runtime answers, if it does."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            return subprocess.run(
                [self.container.runtime, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                timeout=_REMOVE_S,
            ).stdout
        return ""


def is_first_of_its_own(pid: int, proc: Path = PROC) -> bool:
    """Whether a process here is the first one in a process namespace below ours."""
    with contextlib.suppress(OSError):
        for line in (proc / str(pid) / "status").read_text().splitlines():
            name, *numbers = line.split()
            if name == "NSpid:":
                return len(numbers) > 1 and numbers[-1] == "1"
    return False


def guarded(script: str) -> tuple[str, ...]:
    """The beginning of a command that ends when its standard input does."""
    return "sh", "-c", _GUARD, "sh", script


def is_file(image: str) -> bool:
    """Whether an image is named by a path."""
    return image.startswith(("/", "./", "../", "~")) or image.endswith(".sif")


def find_runtime(image: str, named: str | None, path: str) -> str | None:
    """The program that runs an image: the named one, or the first on PATH."""
    names: Iterable[str] = FROM_FILES if is_file(image) else RUNTIMES
    found = (shutil.which(name, path=path) for name in ([named] if named else names))
    return next((place for place in found if place), None)
