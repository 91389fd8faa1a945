"""An executor of another package: each job in a process of this machine."""

import math
import secrets
import shlex
import shutil
import time
from subprocess import Popen

from cpengine.backend import ExecJobs, Executor, ExecutorEntry, Room, Section, site_spec
from cpengine.errors import ConfigError

SCRIPT = "#!/bin/sh\nexec {} {}\n"


class Settings(Section):
    processes: int = 2
    launcher: str = "nice"
    scratch: str | None = None


class ProcessExecutor(Executor):
    def __init__(self, machine, jobs, launcher, processes):
        super().__init__(machine)
        self.window = processes
        self._jobs, self._launcher, self._running = jobs, launcher, {}

    def submit(self, job, attempt):
        exec_job = self._jobs.add(job, attempt)
        script = SCRIPT.format(self._launcher, shlex.join(exec_job.command))
        with exec_job.log.open("wb") as log:
            process = Popen(["sh", "-c", script], stdout=log, stderr=log)
        self._running[process] = exec_job

    def wait(self, timeout_s):
        until = time.monotonic() + (math.inf if timeout_s is None else timeout_s)
        while True:
            ended = [process for process in self._running if process.poll() is not None]
            if ended or time.monotonic() >= until:
                return [self.outcome_of(self._running.pop(each)) for each in ended]
            time.sleep(0.05)

    def cancel(self):
        super().cancel()
        for process in self._running:
            process.terminate()
        while self._running:
            self._running.popitem()[0].wait()

    def close(self):
        super().close()
        self._jobs.remove()


class ProcessEntry(ExecutorEntry):
    Settings = Settings

    def create(self, project, machine, workers):
        own, version = self.settings(project), machine.cellprofiler.version
        folder = self.run_folder(project, secrets.token_hex(3))
        jobs = ExecJobs(folder, site_spec(project, version, scratch=own.scratch))
        return ProcessExecutor(machine, jobs, own.launcher, workers or own.processes)

    def check(self, project, jobs, cellprofiler):
        launcher = self.settings(project).launcher
        if not shutil.which(launcher):
            where = "executors.processes.launcher"
            raise ConfigError(f"{where}: {launcher} is no program: name another")

    def job_script(self, project):
        return SCRIPT.format(self.settings(project).launcher, "cpengine exec-job ...")

    def room(self, asked):
        slots = asked.workers or self.settings(asked.project).processes
        return Room(slots, f"{slots} processes")
