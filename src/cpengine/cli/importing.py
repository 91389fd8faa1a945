"""What `cpengine init` takes from files of Distributed-CellProfiler."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cpengine.dcp import batch_script, fleet, jobfile
from cpengine.dcp import config as dcp_config
from cpengine.dcp.values import Found, Setting


@dataclass(frozen=True, slots=True)
class Imported:
    """Settings for a new project file, and what the user should know of them."""

    settings: Mapping[str, Setting]
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The settings, by dotted key."""
        return {key: setting.value for key, setting in self.settings.items()}

    def with_source(self, line: str) -> str:
        """A message about a key of the project file, told of where that came from."""
        place, colon, rest = line.partition(": ")
        for key, setting in self.settings.items():
            if place == key or place.startswith(f"{key}."):
                return f"{setting.where}{colon}{rest}"
        return line


@dataclass(frozen=True, slots=True)
class Sources:
    """The files and arguments that are given; empty for none."""

    config: str
    batch_script: str
    fleet: str
    job_file: str = ""

    def read(self, folder: Path, options: Mapping[str, Any]) -> Imported:
        """Read them all.

        Options go before the job file, that before the batch script and config.py.

        Parameters
        ----------
        folder
            Where the project file will be.
        options
            The keys that are given on the command line.

        Raises
        ------
        ConfigError, InputError
            One of them is missing or wrong.
        """
        script = batch_script.read(self.batch_script) if self.batch_script else Found()
        found = Found()
        if self.config:
            found = dcp_config.read(Path(self.config), script.step)
        job = self._job(script.step or found.step, folder)
        if self.config and job.step and not found.step:  # what is the step's goes to it
            found = dcp_config.read(Path(self.config), job.step)
        settings = {**found.settings, **script.settings, **job.settings}
        notes = [*found.notes, *script.notes, *job.notes]
        if self.fleet:
            fleet.read(Path(self.fleet))
            place = _place_in(folder, self.fleet)
            settings["executors.aws.fleet"] = Setting(place, "--fleet")
        for key, value in options.items():
            settings[key] = Setting(value, key)
        if self.job_file:  # by these only the ledger is named
            default = Setting(jobfile.as_name(self.job_file), "--job-file")
            settings.setdefault("project.batch", default)
            default = settings.get("project.app_name", default)
            settings.setdefault("project.name", default)
        elif self.config:
            notes += _guess(settings)
        app, name = settings.get("project.app_name"), settings.get("project.name")
        if app and name and app.value == name.value:
            del settings["project.app_name"]
        return Imported(settings, tuple(notes))

    def _job(self, step: str, folder: Path) -> Found:
        """What the job file says, and that its groups are in it."""
        if not self.job_file:
            return Found()
        found = jobfile.as_step(Path(self.job_file), step)
        place = Setting(_place_in(folder, self.job_file), "--job-file")
        settings = {**found.settings, f"steps.{found.step}.job_file": place}
        return replace(found, settings=settings)


def _place_in(folder: Path, file: str) -> str:
    """A file's place as the project file in a folder names it."""
    path, folder = Path(file).resolve(), folder.resolve()
    inside = path.is_relative_to(folder)
    return str(path.relative_to(folder) if inside else path)


def _guess(settings: dict[str, Setting]) -> list[str]:
    """Name the project as its app where nothing else does; say what to look at."""
    notes = []
    app = settings.get("project.app_name")
    if app and "project.name" not in settings:
        settings["project.name"] = app
        notes.append(
            f"project.name: is {app.value!r} after APP_NAME: change it if the "
            "project's folder has another name"
        )
    if "project.batch" not in settings:
        notes.append("project.batch: is not in config.py: set it")
    return notes
