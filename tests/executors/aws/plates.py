"""A plate in a bucket, and a project that runs it on AWS."""

from pathlib import Path

from cpengine.project import Project
from tests.real.compare import lasting
from tests.services.aws.aws_server import AwsServer

BUCKET = "lab-plates"
IMAGES = "projects/demo/2026_01_01_Batch1/images"
WORKSPACE = "projects/demo/workspace"
FILE = f"""
[project]
name = "demo"
batch = "2026_01_01_Batch1"
[storage]
root = "s3://{BUCKET}"
"""
SECTION = """
[executors.aws]
image = "cpengine-worker"
machines = 2
cores = 1
memory_mb = 4096
poll_s = 1.0
idle_s = 5.0
instance_profile = "ecsInstanceRole"
"""


def in_bucket(
    server: AwsServer,
    plate: Project,
    folder: Path,
    more: str = "",
    done: tuple[str, ...] = (),
) -> Project:
    """Put a plate's images, CSV and pipelines into a bucket; give a project of it.

    Parameters
    ----------
    done
        Steps whose results and ledger are put there, too.
    """
    server.make(BUCKET)
    server.upload(BUCKET, plate.folder / IMAGES, f"{IMAGES}/")
    for name in ("pipelines", "load_data_csv"):
        source = plate.folder / WORKSPACE / name
        for path in source.rglob("*"):
            if path.is_file() and path.name != "load_data_with_illum.csv":
                key = f"{WORKSPACE}/{name}/{path.relative_to(source).as_posix()}"
                server.put(BUCKET, key, path.read_bytes())
    for step in map(plate.step, done):
        for key in (step.output, step.ledger):
            server.upload(BUCKET, plate.folder / key, f"{key}/")
    folder.mkdir(exist_ok=True)
    (folder / "cpengine.toml").write_text(FILE + more)
    return Project.load(folder)


def allow(server: AwsServer) -> None:
    """Make the role and profile that a user makes once for an account."""
    iam = server.own("iam")
    iam.create_instance_profile(InstanceProfileName="ecsInstanceRole")


def outputs(project: Project) -> dict[str, object]:
    """What two runs have in common of every file that steps have published."""
    places = project.places.outputs
    found = {}
    for step in ("illum", "analysis"):
        output = project.step(step).output
        for name in sorted(places.tree(output)):
            data = places.read(f"{output}/{name}")
            found[f"{step}/{name}"] = lasting(name, data)
    return found
