"""The project's page: what it is made of, and that each run makes it anew."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cpengine.ledger import run_record
from cpengine.plates import Part
from cpengine.project import Project
from cpengine.results import overview, report
from cpengine.results.overview import step_records
from cpengine.results.overview.step_records import JobsRecord, MontageRecord, keep
from tests import build
from tests.plain_runs import Cpengine
from tests.results.report.made import STEP, VERSION, Size, project
from tests.services.s3.bucket_server import S3Server

ODD = "P1</script><script>alert(1)&\"'"


class Page(HTMLParser):
    """The rows of a page's tables, its links, and all of its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.text = ""
        self._style = self._cell = False
        self.feed(html)
        self.text = re.sub(r"\s+", " ", self.text)
        self.rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag in ("style", "title")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True
        if tag == "br":
            self.handle_data(" ")
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._style = False
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._style:
            return
        self.text += data
        if self._cell:
            self.rows[-1][-1] += data


def written(made: Project) -> Page:
    return Page(Path(overview.write(made)).read_text())


@pytest.fixture
def made(tmp_path: Path) -> Project:
    """Two plates after a part of a run with failed jobs."""
    return project(tmp_path, Size(plates=2, wells=30, sites=3), left=0.25)


def test_plates_and_steps_are_a_grid_of_states(made: Project) -> None:
    report.write(made, STEP, cellprofiler=VERSION)
    keep(made, "illum", JobsRecord({"SQ00015167": {"done": 1}}))
    head, first, second = written(made).rows
    assert head == ["Plate", "illum jobs", "analysis jobs"]
    assert first[:2] == ["SQ00015167", "1 done"]
    assert re.fullmatch(r"\d+ done, \d+ failed", first[2])
    assert second[:2] == ["SQ00015168", "\N{EN DASH}"]
    assert re.fullmatch(r"\d+ done(, \d+ failed)?, 45 left", second[2])


def test_the_next_thing_comes_first(made: Project) -> None:
    report.write(made, STEP, cellprofiler=VERSION)
    text = written(made).text
    assert re.search(r"Next: analysis: \d+ jobs failed \(\d+ cellprofiler, \d+ ", text)
    assert "cpengine run analysis --only failed" in text
    assert "analysis: 45 jobs left to run. cpengine run analysis" in text


def test_links_lead_to_the_pages(made: Project) -> None:
    page = Path(report.write(made, STEP, cellprofiler=VERSION))
    index = Path(overview.write(made))
    assert "B1/analysis.html" in Page(index.read_text()).links
    assert (index.parent / "B1/analysis.html") == page
    assert "../index.html" in Page(page.read_text()).links


def test_a_part_or_a_page_elsewhere_leaves_the_project_page_as_it_is(
    made: Project, tmp_path: Path
) -> None:
    index = Path(overview.write(made))
    before = index.read_bytes()
    report.write(made, STEP, cellprofiler=VERSION, to=tmp_path / "mine.html")
    report.write(made, STEP, cellprofiler=VERSION, part=Part(wells=frozenset({"A01"})))
    assert index.read_bytes() == before


def test_all_batches_are_shown_the_own_one_first(made: Project) -> None:
    report.write(made, STEP, cellprofiler=VERSION)
    folder = made.places.outputs.path(made.layout.workspace("report"))
    record = (folder / "B1/analysis.jobs.json").read_text()
    build.write(folder / "A0/analysis.jobs.json", record)
    text = written(made).text
    assert "2 batches" in text
    assert text.index("Next:") < text.index("A0 Next:")
    assert "A0/analysis.html" in written(made).links


def test_names_from_outside_are_text(made: Project) -> None:
    keep(made, "analysis", JobsRecord({ODD: {"done": 1}}, stale={ODD: 1}))
    keep(made, "assaydev", MontageRecord(["a b%23"]))
    html = Path(overview.write(made)).read_text()
    assert ODD not in html
    assert ODD in Page(html).text
    assert "../montage/B1/assaydev/a%20b%2523/index.html" in html


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"plates": 3}', '{"plates": {"P": []}}']
)
def test_a_damaged_record_is_reported_and_passed_over(
    made: Project, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    report.write(made, STEP, cellprofiler=VERSION)
    folder = made.places.outputs.path(made.layout.workspace("report"))
    build.write(folder / "B1/illum.jobs.json", text)
    assert [row[0] for row in written(made).rows] == [
        "Plate",
        "SQ00015167",
        "SQ00015168",
    ]
    assert "illum.jobs.json: is damaged" in caplog.text


def test_tables_of_other_plates_stay(made: Project) -> None:
    for plate in ("P1", "P2"):
        collected = step_records.CollectedJobs(3)
        step_records.keep_collected(made, STEP, {plate: collected})
    records = step_records.read(made)["B1"][STEP]
    assert records.tables
    assert list(records.tables.plates) == ["P1", "P2"]


def test_a_step_too_large_for_a_report_is_in_the_grid(made: Project) -> None:
    report.write_states(made, STEP, VERSION)
    page = written(made)
    assert len(page.rows) == 3
    assert "B1/analysis.html" not in page.links
    assert "cpengine report analysis makes a report" in page.text


def test_the_page_takes_a_listing_and_a_read_a_record(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    built = build.project(tmp_path)
    s3.upload(bucket, built.root / "projects", "projects/")
    build.change(built.toml, "[storage]\n", f'[storage]\nroot = "s3://{bucket}"\n')
    storage = f'[storage.s3]\nendpoint = "{s3.url}"\n'
    built.toml.write_text(built.toml.read_text() + storage)
    made = built.project()
    for step in ("illum", "qc", "analysis"):
        keep(made, step, JobsRecord({"P1": {"done": 1}}))
    s3.reset_counts()
    overview.write(made)
    counts = {kind: number for kind, number in s3.counts().items() if number}
    assert counts == {"list": 1, "get": 3, "put": 1}


def test_each_run_makes_the_page_anew(cpengine: Cpengine, plate: Project) -> None:
    """Also one that finds nothing to do."""
    index = plate.places.outputs.path(plate.layout.workspace("report", "index.html"))
    head, row = Page(index.read_text()).rows
    assert head == ["Plate", "illum jobs", "analysis jobs"]
    assert row == ["DemoPlate1", "1 done", "4 done"]
    index.write_text("old")
    ran = cpengine("run", "illum", "-C", plate.folder)
    assert ran.returncode == 0
    assert Page(index.read_text()).rows == [head, row]
    records = json.loads(
        (index.parent / plate.layout.batch / "analysis.jobs.json").read_text()
    )
    assert records["made"] <= run_record.now()
