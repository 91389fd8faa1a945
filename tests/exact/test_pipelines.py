"""Whole pipelines give the same files, accelerated and plain, byte for byte."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag

import pytest

from cpengine.cellprofiler.build_kernels import build
from cpengine.cellprofiler.command import run_command, run_environment
from cpengine.cellprofiler.exact import NAMES
from cpengine.cellprofiler.find import CellProfiler
from cpengine.cellprofiler.pool import Host, Hosts, Request
from cpengine.system.process import Limits
from tests.exact import proof
from tests.real.compare import differing

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return proof.write_table(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def pipelines(
    cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pipelines")
    paths = {name: folder / f"{name}.cppipe" for name in proof.PIPELINES}
    asked = [
        json.dumps({"path": str(paths[name]), "modules": modules})
        for name, modules in proof.PIPELINES.items()
    ]
    subprocess.run(
        [str(cellprofiler.python), str(FOLDER / "write_pipelines.py")],
        input="\n".join([*asked, ""]),
        env=run_environment(cellprofiler.env, folder),
        text=True,
        check=True,
        stdout=sys.stderr,
    )
    return paths


@pytest.fixture(scope="module")
def hosts(
    cellprofiler: CellProfiler, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Host, Host]]:
    """A warm CellProfiler a way."""
    build()
    pool = Hosts(cellprofiler, tmp_path_factory.mktemp("hosts"))
    with pool.lend(None, Flag()) as plain, pool.lend(None, Flag()) as exact:
        assert exact.accelerations.off == {}
        yield plain, exact
    pool.close()


def _run(
    host: Host, pipeline: Path, table: Path, case: str, folder: Path, *names: str
) -> str:
    """Run a group below a folder; give what CellProfiler failed with, if it did."""
    for name in ("output", "temp"):
        (folder / name).mkdir(parents=True)
    _, *argv = run_command(
        [""],
        pipeline=pipeline,
        input=table.parent,
        output=folder / "output",
        done_file=folder / "done",
        data_file=table,
        group={"Metadata_Case": case},
        temp=folder / "temp",
    )
    environ = {"TMPDIR": str(folder / "temp")}
    request = Request(argv, str(folder), str(folder / "log"), environ, {}, names)
    ended = host.run(
        request, follow=lambda line: None, cancelled=Flag(), limits=Limits()
    )
    assert host.accelerations.failed == {}, (folder / "log").read_text()[-4000:]
    assert (ended.code == 0) == (ended.error is None)
    return ended.error or ""


@pytest.mark.parametrize("case", proof.IMAGES)
@pytest.mark.parametrize("name", proof.PIPELINES)
def test_files_are_the_same(
    name: str,
    case: str,
    hosts: tuple[Host, Host],
    pipelines: dict[str, Path],
    table: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"  # one place for both ways: files hold its name
    why = proof.FAILING.get((name, case))
    for host, names, way in zip(hosts, ((), NAMES), ("plain", "exact"), strict=True):
        failed = _run(host, pipelines[name], table, case, folder, *names)
        assert failed.startswith(why) if why else not failed, failed
        folder.rename(tmp_path / way)
    assert differing(tmp_path / "exact/output", tmp_path / "plain/output") == []
    assert list((tmp_path / "plain/output").iterdir()) or failed
