"""What a worker asks for, and what is said where no node has so much."""

from pathlib import Path

import pytest

from cpengine.config import ClusterSection, HTCondorSection, SlurmSection
from cpengine.executors.slurm.schedulers import QUEUES, slurm_sizes
from tests.executors.slurm.site import Site, site, workers_of

__all__ = ["site"]

MEMORY = "Memory specification can not be satisfied"
NODES = "short|2|4000\ndebug*|64|512000\ndebug*|8|31000\n"


@pytest.mark.parametrize(
    ("kind", "memory"),
    [
        ("slurm", "#SBATCH --mem=3584M"),
        ("pbs", "#PBS -l select=1:ncpus=4:mem=3584MB"),
        ("htcondor", f"MY.DaskWorkerMemory = {3584 * 1024**2}"),
    ],
)
def test_memory_is_asked_for_as_it_is_set(
    kind: str, memory: str, tmp_path: Path
) -> None:
    section = {"slurm": SlurmSection, "htcondor": HTCondorSection}
    settings = section.get(kind, ClusterSection)(memory_gb=3.5)
    lines = workers_of(tmp_path, settings, kind).job("w-1").job_script().splitlines()
    assert memory in lines


@pytest.mark.parametrize("kind", [*QUEUES])
def test_a_workers_command_gives_each_option_once(kind: str, tmp_path: Path) -> None:
    section = {"slurm": SlurmSection, "htcondor": HTCondorSection}
    settings = section.get(kind, ClusterSection)(cores=3)
    script = workers_of(tmp_path, settings, kind).job("w-1").job_script()
    words = script[script.index("dask_worker") :].split()
    options = [word for word in words if word.startswith("--")]
    assert len(options) == len(set(options))
    assert words[words.index("--nthreads") + 1] == "3"
    assert words[words.index("--memory-limit") + 1] == "0"


@pytest.mark.parametrize(
    ("settings", "why", "sizes"),
    [
        (
            SlurmSection(memory_gb=600),
            MEMORY,
            "; asked for 4 cores and 614400M of memory, nodes have 64 cores and "
            "512000M of memory or 8 cores and 31000M of memory",
        ),
        (
            SlurmSection(
                directives=["--mem=30G", "-c 99"],
                skip_directives=["--mem", "--cpus-per-task"],
            ),
            "PartitionConfig",
            "; asked for 99 cores and 30G of memory, nodes have 64 cores and 512000M "
            "of memory or 8 cores and 31000M of memory",
        ),
        (SlurmSection(), "Invalid account", ""),
    ],
)
def test_what_a_job_asks_for_is_named_beside_what_nodes_have(
    settings: SlurmSection, why: str, sizes: str, site: Site, tmp_path: Path
) -> None:
    site.says("sinfo", NODES)
    script = workers_of(tmp_path / "run", settings).job("w-1").job_script()
    assert slurm_sizes(why, script) == sizes


def test_only_the_nodes_of_the_chosen_partition_are_named(
    site: Site, tmp_path: Path
) -> None:
    site.has("sinfo", f'echo "$@" > {tmp_path}/asked; echo "two words|2|4000"')
    settings = SlurmSection(partition="two words")
    script = workers_of(tmp_path / "run", settings).job("w-1").job_script()
    sizes = slurm_sizes(MEMORY, script)
    assert sizes.endswith("nodes have 2 cores and 4000M of memory")
    assert "--partition=two words" in (tmp_path / "asked").read_text()


def test_a_slurm_that_does_not_say_what_nodes_have_is_no_matter(
    site: Site, tmp_path: Path
) -> None:
    script = workers_of(tmp_path / "run").job("w-1").job_script()
    assert slurm_sizes(MEMORY, script) == ""
