"""A hundred thousand images: time, memory, and requests."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpengine.inputs.image_index import index_images
from cpengine.storage.store import Storage
from tests.inputs.image_index.acquisition import Acquisition
from tests.inputs.image_index.harmony_writer import file_name, index_lines
from tests.inputs.image_index.test_formats import indexed
from tests.services.s3.bucket_server import S3Server

PLATE = Acquisition(wells=("A01",), sites=9, channels=tuple("abcde"), planes=6)
"""A well of it."""
WELLS = [(row, column) for row in range(1, 17) for column in range(1, 25)]
COUNT = len(WELLS) * len(list(PLATE))  # 103,680
MOST_SECONDS, MOST_MEGABYTES = 10, 300


def of_well(text: str, row: int, column: int) -> str:
    """What is said of the well A01, said of another."""
    return (
        text.replace("r01c01", f"r{row:02}c{column:02}")
        .replace("<Row>1<", f"<Row>{row}<")
        .replace("<Col>1<", f"<Col>{column}<")
    )


class Made(Storage):
    """A folder of a plate that nobody has written."""

    def __init__(self, version: str) -> None:
        super().__init__("/")
        self._version = version

    def tree(self, key: str) -> dict[str, int]:
        names = "\n".join(f"P1/Images/{file_name(shot)}" for shot in PLATE)
        places = (of_well(names, *well).split("\n") for well in WELLS)
        found = {place: 100 for of_one in places for place in of_one}
        return found | ({"P1/Images/Index.xml": 10**8} if self._version else {})

    def pieces(self, key: str) -> Iterator[bytes]:
        text = "\r\n".join(index_lines(PLATE, self._version))
        head, images = text.split("<Images>")
        images, tail = images.split("</Images>")
        yield f"{head}<Images>".encode()
        for well in WELLS:
            yield of_well(images, *well).encode()
        yield f"</Images>{tail}".encode()


def measure(version: str) -> None:
    """Index a plate in this process; print seconds of CPU, megabytes, and rows."""
    start = time.process_time()
    (made,) = index_images(Made(version), "/screen").tables
    made.table.to_csv()
    seconds = time.process_time() - start
    print(seconds, peak_megabytes(), len(made.table.rows))


def peak_megabytes() -> float:
    """The most memory of this program; `getrusage` counts that of its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.mark.parametrize("version", ["V1", "V7", ""], ids=["V1", "V7", "names"])
def test_a_hundred_thousand_images_take_seconds_and_little_memory(version: str) -> None:
    code = f"from {__name__} import measure; measure({version!r})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    seconds, peak, rows = map(float, ran.stdout.split())
    assert rows == COUNT / len(PLATE.channels)
    assert seconds < 2 * MOST_SECONDS  # other tests run beside it
    assert peak < MOST_MEGABYTES


def test_a_bucket_of_thousands_is_listed_a_thousand_at_a_time(
    s3: S3Server, bucket: str
) -> None:
    names = [f"Images/{file_name(shot)}" for shot in PLATE]
    places = [of_well(name, *well) for well in WELLS[:20] for name in names]
    s3.fill(bucket, places, prefix="P1/", text="image")
    s3.reset_counts()
    found = indexed(f"s3://{bucket}", endpoint=s3.url)
    assert sum(len(images) for images in found.plates[0].sets.values()) == 5400
    assert s3.counts(bucket) == {"list": 6}
