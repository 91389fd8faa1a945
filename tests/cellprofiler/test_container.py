"""The command line of each container runtime, and what is asked of an image."""

import os
import subprocess
from pathlib import Path

import pytest

from cpengine.cellprofiler import build_kernels
from cpengine.cellprofiler.build_kernels import Kernels
from cpengine.cellprofiler.command import HASH_SEED, KERNELS, THREADS
from cpengine.cellprofiler.container import (
    CODE,
    Container,
    Mount,
    RunningContainer,
    guarded,
    is_first_of_its_own,
)
from cpengine.cellprofiler.find import CellProfiler, Wanted, candidates, find
from cpengine.errors import CellProfilerError, ConfigError
from cpengine.job.machine import wanted_cellprofiler
from cpengine.project import Project
from cpengine.system.usage import Sample

ARGV = ["/usr/bin/python3.8", "host.py", "--log", "/scratch/log"]
ENVIRON = {"OMP_NUM_THREADS": "1", "HOME": "/scratch/t", "TMPDIR": "/scratch/t"}
MOUNTS = (
    Mount(Path("/scratch"), writable=True),
    Mount(Path("/data/images")),
    Mount(Path("/data")),
    Mount(Path("/data")),
)
BOUND = [
    "--mount=type=bind,source=/data,destination=/data,ro",
    "--mount=type=bind,source=/data/images,destination=/data/images,ro",
    "--mount=type=bind,source=/scratch,destination=/scratch",
]
OWN = f"--mount=type=bind,source={CODE},destination={CODE},ro"
SERVED = ["--network=none", "--security-opt=label=disable"]
GIVEN = ["--env=OMP_NUM_THREADS=1", "--env=HOME=/scratch/t", "--env=TMPDIR=/scratch/t"]


@pytest.fixture
def ada(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who calls: a user with a group for the lab's data."""
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgid", lambda: 100)
    monkeypatch.setattr(os, "getgroups", lambda: [100, 2003])


def command(runtime: str, image: str) -> list[str]:
    argv = Container(image, runtime, MOUNTS).command(
        ARGV, name="cpengine-7-ab", environ=ENVIRON, folder=Path("/scratch/job")
    )
    assert argv.count(OWN) == 1
    argv.remove(OWN)  # where it comes depends on where the package is
    return argv


@pytest.mark.usefixtures("ada")
def test_docker() -> None:
    assert command("/usr/bin/docker", "cellprofiler/cellprofiler:4.2.8") == [
        *("/usr/bin/docker", "run", "--rm", "--interactive", "--pull=never"),
        *("--name=cpengine-7-ab", *SERVED, "--user=1000:100", "--group-add=2003"),
        *("--workdir=/scratch/job", *GIVEN, *BOUND),
        *("--entrypoint=/usr/bin/python3.8", "cellprofiler/cellprofiler:4.2.8"),
        *("host.py", "--log", "/scratch/log"),
    ]


@pytest.mark.usefixtures("ada")
def test_podman_of_a_user() -> None:
    assert command("/usr/bin/podman", "cellprofiler/cellprofiler:4.2.8") == [
        *("/usr/bin/podman", "run", "--rm", "--interactive", "--pull=never"),
        *("--name=cpengine-7-ab", *SERVED, "--user=1000:100"),
        *("--userns=keep-id", "--group-add=keep-groups"),
        *("--workdir=/scratch/job", *GIVEN, *BOUND),
        "--entrypoint=/usr/bin/python3.8",
        "docker.io/cellprofiler/cellprofiler:4.2.8",
        *("host.py", "--log", "/scratch/log"),
    ]


@pytest.mark.usefixtures("ada")
def test_podman_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    argv = command("/usr/bin/podman", "cp")
    assert argv[5:10] == [
        *("--name=cpengine-7-ab", *SERVED, "--user=0:100", "--group-add=2003"),
    ]


@pytest.mark.parametrize("runtime", ["apptainer", "singularity"])
def test_apptainer(runtime: str) -> None:
    assert command(f"/opt/{runtime}", "/images/cp.sif") == [
        *(f"/opt/{runtime}", "exec", "--containall", "--net", "--network=none"),
        *("--pwd=/scratch/job", GIVEN[0], GIVEN[2], *BOUND),
        *("/images/cp.sif", *ARGV),
    ]


def test_a_container_without_a_name_or_anything_else() -> None:
    assert Container("cp", "docker").probe_command()[:5] == [
        *("docker", "run", "--rm", "--interactive", "--pull=never")
    ]


@pytest.mark.parametrize(
    ("runtime", "image", "named"),
    [
        ("docker", "docker://lab/cp:1", "lab/cp:1"),
        ("docker", "lab/cp:1", "lab/cp:1"),
        ("podman", "docker://lab/cp:1", "docker.io/lab/cp:1"),
        ("podman", "quay.io/lab/cp:1", "quay.io/lab/cp:1"),
        ("podman", "lab:5000/cp", "lab:5000/cp"),
        ("podman", "localhost/cp", "localhost/cp"),
        ("podman", "cp:1", "cp:1"),
        ("apptainer", "lab/cp:1", "docker://lab/cp:1"),
        ("apptainer", "docker://lab/cp:1", "docker://lab/cp:1"),
        ("apptainer", "oras://lab/cp:1", "oras://lab/cp:1"),
        ("apptainer", "/images/cp.sif", "/images/cp.sif"),
    ],
)
def test_an_image_is_named_as_its_runtime_wants_it(
    runtime: str, image: str, named: str
) -> None:
    assert named in Container(image, runtime).command(["true"])


def test_a_folder_with_a_comma_or_a_quote_is_mounted() -> None:
    place = '/data/a,b "c"'
    quoted = '/data/a,b ""c""'
    assert str(Mount(Path(place))) == (
        f'type=bind,"source={quoted}","destination={quoted}",ro'
    )


def test_a_folder_to_write_in_stays_so_if_it_is_named_again() -> None:
    again = Container("cp", "docker", (*MOUNTS, Mount(Path("/scratch"))))
    assert BOUND[2] in again.command(["true"])


def test_what_a_link_leads_to_must_be_in_the_container_too(tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out" / "file")
    container = Container("cp", "docker", (Mount(tmp_path / "in"),))
    seen = [container.sees(tmp_path / "in" / name) for name in ("file", "link")]
    assert (seen, container.sees(tmp_path / "out")) == ([True, False], False)


def test_a_guarded_command_keeps_its_exit_code() -> None:
    with subprocess.Popen(
        [*guarded("sh"), "-c", "exit 7"], stdin=subprocess.PIPE
    ) as child:
        assert child.wait(10) == 7


def test_a_guarded_command_ends_with_its_standard_input() -> None:
    child = subprocess.Popen([*guarded("sleep"), "60"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(10) == 128 + 9


def runtime(folder: Path, text: str, name: str = "docker") -> Path:
    """A stand-in for a container runtime."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("docker", "rm --force cpengine-7"), ("podman", "rm --force --time=0 cpengine-7")],
)
def test_a_container_is_removed_by_its_name(
    tmp_path: Path, name: str, arguments: str
) -> None:
    program = runtime(tmp_path / "bin", f'echo "$*" > {tmp_path}/said', name)
    RunningContainer(Container("cp", str(program)), "cpengine-7").end()
    assert (tmp_path / "said").read_text() == f"{arguments}\n"


def test_nothing_is_known_before_a_container_has_processes(tmp_path: Path) -> None:
    program = runtime(tmp_path / "bin", "echo 0")
    seen = RunningContainer(Container("cp", str(program))).read(os.getpid())
    assert seen == Sample(0.0, 0, whole=False)  # so that it counts as no silence


def test_a_process_of_another_machine_is_not_taken_for_the_containers(
    tmp_path: Path,
) -> None:
    program = runtime(tmp_path / "bin", f"echo {os.getpid()}")
    seen = RunningContainer(Container("cp", str(program))).read(os.getpid())
    assert seen == Sample(0.0, 0, whole=False)


@pytest.mark.parametrize(
    ("numbers", "first"), [("70\t1", True), ("70\t5", False), ("1", False)]
)
def test_first_process_of_a_namespace(
    tmp_path: Path, numbers: str, first: bool
) -> None:
    (tmp_path / "70").mkdir()
    (tmp_path / "70" / "status").write_text(f"Name:\tsh\nNSpid:\t{numbers}\n")
    assert is_first_of_its_own(70, tmp_path) is first


def test_apptainers_processes_are_its_own_and_end_with_it() -> None:
    running = RunningContainer(Container("/no.sif", "/no/apptainer"))
    running.end()
    assert running.read(os.getpid()).memory > 0


# What is asked of an image

ENVIRONMENT = {"CPENGINE_HOME": "/no", "JAVA_HOME": "/jdk"}
SCRIPT = "echo /opt/cp/bin/cellprofiler; echo '#!/opt/cp/bin/python3.8'; echo import re"


def image_with(folder: Path, *, python: str, version: str, script: str = SCRIPT) -> str:
    """A PATH with a runtime that gives these answers."""
    runtime(
        folder / "bin",
        f"""case "$*" in
        *"command -v"*) {script};;
        *importlib*) {python};;
        *--version*) {version};;
        esac""",
    )
    return f"{folder}/bin:/usr/bin:/bin"


def found(path: str, environ: dict[str, str] | None = None) -> CellProfiler:
    wanted = Wanted(image="lab/cp:1")
    return find(wanted, ENVIRONMENT | {"PATH": path} | (environ or {}))


def test_an_images_python_is_that_of_its_script(tmp_path: Path) -> None:
    path = image_with(tmp_path, python="echo 4.2.8", version="exit 1")
    seen = found(path)
    assert (seen.version, seen.python) == ("4.2.8", Path("/opt/cp/bin/python3.8"))
    assert seen.container == Container("lab/cp:1", f"{tmp_path}/bin/docker")
    assert seen.command == guarded("/opt/cp/bin/cellprofiler")


def test_an_image_with_a_wrapper_script_has_no_known_python(tmp_path: Path) -> None:
    script = "echo /usr/bin/cellprofiler; echo '#!/bin/sh'; echo exec other"
    seen = found(
        image_with(tmp_path, python="exit 1", version="echo 4.2.8", script=script)
    )
    assert (seen.version, seen.python) == ("4.2.8", None)


def test_an_image_whose_python_lacks_cellprofiler_is_asked_itself(
    tmp_path: Path,
) -> None:
    seen = found(image_with(tmp_path, python="exit 1", version="echo 4.2.8"))
    assert (seen.version, seen.python) == ("4.2.8", None)


def test_an_image_that_does_not_start_is_refused_with_the_cure(tmp_path: Path) -> None:
    script = "echo no such image >&2; exit 125"
    path = image_with(tmp_path, python="exit 1", version="exit 1", script=script)
    with pytest.raises(
        CellProfilerError, match=r"no such image\); get .*`docker pull`"
    ):
        found(path)


def test_image_without_runtime_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CellProfilerError, match="needs a container runtime on PATH"):
        found(str(tmp_path))


def test_runtime_that_is_named_is_the_one(tmp_path: Path) -> None:
    path = str(runtime(tmp_path / "bin", "echo 4.2.8").parent)
    with pytest.raises(CellProfilerError, match="needs podman on PATH"):
        find(Wanted(image="lab/cp:1", runtime="podman"), {"PATH": path})


def test_images_file_is_for_apptainer_only(tmp_path: Path) -> None:
    path = str(runtime(tmp_path / "bin", "echo 4.2.8").parent)
    (tmp_path / "cp.sif").touch()
    wanted = Wanted(image=str(tmp_path / "cp.sif"))
    with pytest.raises(CellProfilerError, match="needs a container runtime on PATH"):
        find(wanted, {"PATH": path})
    named = Wanted(image=str(tmp_path / "cp.sif"), runtime="docker")
    with pytest.raises(CellProfilerError, match="is a file, and docker takes none"):
        find(named, {"PATH": path})


def test_images_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(CellProfilerError, match=r"cp\.sif, which does not exist"):
        find(Wanted(image="/no/cp.sif"), {"PATH": ""})


def test_variable_names_an_image_after_the_other_variable(tmp_path: Path) -> None:
    path = image_with(tmp_path, python="echo 4.2.8", version="exit 1")
    environ = ENVIRONMENT | {"PATH": path, "CPENGINE_CELLPROFILER_IMAGE": "lab/cp:2"}
    assert find(Wanted(), environ).origin == "CPENGINE_CELLPROFILER_IMAGE"
    origins = [candidate.origin for candidate in candidates(Wanted(), environ)]
    assert origins[:4] == [
        "cellprofiler.path in cpengine.toml",
        "cellprofiler.image in cpengine.toml",
        "CPENGINE_CELLPROFILER",
        "CPENGINE_CELLPROFILER_IMAGE",
    ]


# What a project gives to its container


def project(folder: Path, settings: str) -> Project:
    for name in ("project", "images", "data", "scratch"):
        (folder / name).mkdir()
    (folder / "project" / "cpengine.toml").write_text(
        f"""
        [project]
        name = "p"
        batch = "b"
        [storage]
        images = "../images"
        map = {{ "s3://lab" = "{folder}/data", "s3://other" = "s3://mine" }}
        [executors.local]
        scratch = "../scratch"
        [cellprofiler]
        {settings}
        """
    )
    return Project.load(folder / "project")


def in_container() -> CellProfiler:
    return CellProfiler(("cp",), "4.2.8", "test", container=Container("cp", "docker"))


def test_only_the_scratch_folder_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Kernels(tmp_path / "kernels/kernels.so", "0")
    built.path.parent.mkdir()
    monkeypatch.setattr(build_kernels, "built", lambda: built)
    (tmp_path / "more").mkdir()
    machine = project(tmp_path, 'mounts = ["../more"]').machine(in_container())
    assert machine.cellprofiler.container is not None
    mounts = {
        os.path.relpath(mount.path.resolve(), tmp_path): mount.writable
        for mount in machine.cellprofiler.container.mounts
    }
    assert mounts == {
        "project": False,
        "images": False,
        "data": False,
        "more": False,
        "kernels": False,
        "scratch": True,
    }
    assert machine.hosts is not None
    assert machine.hosts.cellprofiler == machine.cellprofiler


def test_mounts_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cellprofiler\.mounts: .*/no is no folder"):
        project(tmp_path, 'mounts = ["/no"]').machine(in_container())


def test_images_file_is_beside_the_project_file(tmp_path: Path) -> None:
    settings = 'image = "cp.sif"\n runtime = "apptainer"'
    assert wanted_cellprofiler(project(tmp_path, settings)) == Wanted(
        image=f"{tmp_path}/project/cp.sif", runtime="apptainer"
    )


def test_of_ours_only_what_numbers_depend_on_gets_into_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(KERNELS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "8")
    program = in_container().program(["cp", "-c"], tmp_path, tmp_path / "temp")
    words = [word for word in program.command if word.startswith("--env=")]
    given = dict(word.removeprefix("--env=").split("=", 1) for word in words)
    always = {*THREADS, *HASH_SEED, "HOME", "MPLBACKEND", "PYTHONUNBUFFERED", "TMPDIR"}
    assert given.keys() == {*always, "OPENBLAS_CORETYPE"}
    assert given["OPENBLAS_CORETYPE"] == "Haswell"
    assert given["OPENBLAS_NUM_THREADS"] == "1"
    assert program.apart is not None
