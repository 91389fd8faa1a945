"""Plans: fingerprints, parts and batch files."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cpengine.errors import InputError
from cpengine.inputs.pipeline import parse
from cpengine.model import Job
from cpengine.planning.fingerprint import changed, of_image_sets, of_pipeline
from cpengine.planning.plan import Plan, check_part, in_part, suggestion
from cpengine.plates import SITE_KEYS, Part
from cpengine.rules import Severity
from tests import build
from tests.build import Built, change

GROUP = (("Metadata_Plate", "P1"), ("Metadata_Well", "A01"), ("Metadata_Site", "1"))
JOB = Job(
    step="analysis",
    group=GROUP,
    pipeline="a.cppipe",
    data_file="f.csv",
    input="rules",
    output="out",
)


def plan(built: Built, part: Part | None = None, version: str = "4.2.8.1") -> Plan:
    return built.project().plan("analysis", part or Part(), cellprofiler=version)


def ids(made: Plan) -> list[str]:
    return [job.id for job in made.jobs]


def part(**wanted: str) -> Part:
    return Part(**{name: frozenset(text.split()) for name, text in wanted.items()})


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """A project of two wells with two sites each."""
    return build.project(tmp_path)


# Fingerprints


def prints(built: Built) -> dict[str, str]:
    return {job.id: job.fingerprint for job in plan(built).jobs}


def settings(text: str) -> Callable[[Built], None]:
    return lambda built: build.write(built.toml, built.toml.read_text() + text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda built: change(built.pipeline, "Nuclei", "Cells"),
        lambda built: change(built.csv, "A01_1.tif", "a01_1.tif"),
        lambda built: change(built.csv, "P1_IllumDNA", "P1_illumDNA"),
    ],
    ids=["pipeline", "image", "function"],
)
def test_fingerprint_changes(spoil: Callable[[Built], object], built: Built) -> None:
    before = prints(built)
    spoil(built)
    assert prints(built)["P1-A01-1"] != before["P1-A01-1"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda built: change(built.csv, "A02_1.tif", "a02_1.tif"),
        lambda built: (built.images / "A01_1.tif").write_text("other"),
        settings("[steps.analysis]\ntimeout_min = 9\n"),
        settings("[executors.local]\nworkers = 9\n"),
    ],
    ids=["row_of_another_group", "image", "timeout", "executor"],
)
def test_fingerprint_stays(spoil: Callable[[Built], object], built: Built) -> None:
    before = prints(built)
    spoil(built)
    assert prints(built)["P1-A01-1"] == before["P1-A01-1"]


NOTES = "wants_pause:False|show_window:False|notes:[]|enabled:"


def header(name: str, old: str, new: str) -> Callable[[str], str]:
    """Change something in the line that begins a module."""

    def edit(text: str) -> str:
        assert name in text
        head, start, rest = text.partition(f"\n{name}:[")
        line, end, rest = rest.partition("\n")
        assert old in line
        return head + start + line.replace(old, new) + end + rest

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        header("IdentifyPrimaryObjects", "notes:[]", "notes:['bright nuclei']"),
        header("IdentifyPrimaryObjects", "show_window:False", "show_window:True"),
        header("IdentifyPrimaryObjects", "wants_pause:False", "wants_pause:True"),
        lambda text: text.replace("DateRevision:428", "DateRevision:427"),
        lambda text: text.replace("Select the input image:", "Which image?:"),
        lambda text: text.replace("\n", "\r\n"),
        build.pipeline_json,
    ],
    ids=["notes", "window", "pause", "date", "wording", "line_ends", "json"],
)
def test_what_cellprofiler_does_not_compute_makes_nothing_stale(
    edit: Callable[[str], str],
) -> None:
    text = build.pipeline_text().replace("enabled:", NOTES)
    assert edit(text) != text
    assert pipeline_part(edit(text)) == pipeline_part(text)


@pytest.mark.parametrize(
    "edit",
    [
        header("IdentifyPrimaryObjects", "enabled:True", "enabled:False"),
        header("IdentifyPrimaryObjects", "revision_number:", "revision_number:1"),
        lambda text: text.replace("Nuclei", "Cells", 1),
    ],
    ids=["enabled", "revision", "setting"],
)
def test_what_cellprofiler_computes_makes_results_stale(
    edit: Callable[[str], str],
) -> None:
    text = build.pipeline_text()
    assert pipeline_part(edit(text)) != pipeline_part(text)


def test_settings_of_disabled_modules_do_not_count_but_their_numbers_do() -> None:
    off = header("IdentifyPrimaryObjects", "enabled:True", "enabled:False")
    text = off(build.pipeline_text())
    assert pipeline_part(text.replace("Nuclei", "Cells")) == pipeline_part(text)
    head, _, last = text.rpartition("\n\n")
    assert pipeline_part(head) != pipeline_part(text)
    assert last


def pipeline_part(text: str) -> str:
    return of_pipeline(parse(text, ""))


def test_fingerprint_is_the_same_for_a_part(built: Built) -> None:
    (job,) = plan(built, part(wells="A02", sites="2")).jobs
    assert job.fingerprint == prints(built)[job.id]


PLUGINS = {
    "mynuclei.py": "import numpy\nfrom helpers import area\n",
    "helpers.py": "import shapes.round\n",
    "shapes/__init__.py": "",
    "shapes/round.py": "ROUND = 1\n",
    "other.py": "import unused\n",
    "unused.py": "",
    "README.md": "about\n",
}


@pytest.fixture
def plugged(built: Built) -> Built:
    """The project with a plugin in its pipeline, and a folder of them."""
    for name, text in PLUGINS.items():
        build.write(built.root / "plugins" / name, text)
    text = build.pipeline_text(build.SITE, build.module("MyNuclei", 4, {}))
    built.pipeline.write_text(text)
    settings('[steps.analysis]\nplugins = "plugins"\n')(built)
    return built


@pytest.mark.parametrize("name", PLUGINS)
def test_fingerprint_changes_with_the_plugins_that_the_pipeline_runs(
    name: str, plugged: Built
) -> None:
    before = prints(plugged)
    build.write(plugged.root / "plugins" / name, f"{PLUGINS[name]}# changed\n")
    whys = {tuple(changed(before[i], now)) for i, now in prints(plugged).items()}
    unused = name in ("other.py", "unused.py", "README.md")
    assert whys == {() if unused else ("its plugins or rules",)}


RULE = build.module(
    "FlagImage",
    4,
    {
        "Flag is based on": "Rules",
        "Rules file location": "Default Input Folder|",
        "Rules file name": "focus.txt",
    },
)


def test_fingerprint_changes_with_the_rules_that_the_pipeline_reads(
    built: Built,
) -> None:
    built.pipeline.write_text(build.pipeline_text(build.SITE, RULE))
    step = built.project().step("analysis")
    place = built.root / step.input / "focus.txt"
    missing = prints(built)
    build.write(place, "IF (x > 1, [1], [0])\n")
    before = prints(built)
    build.write(place, "IF (x > 2, [1], [0])\n")
    build.write(place.with_name("other.txt"), "")
    for old in (missing, before):
        whys = {tuple(changed(old[i], now)) for i, now in prints(built).items()}
        assert whys == {("its plugins or rules",)}


_MODE = "Train or untangle worms?"


def _file(module: str, settings: dict[str, str]) -> str:
    return build.module(module, 4, settings)


def _training(module: str, **more: str) -> str:
    place = {
        "Training set file location": "Elsewhere...|{}",
        "Training set file name": "f.x",
    }
    return _file(module, more | place)


NAMED = {
    "FlagImage": _file(
        "FlagImage",
        {
            "Flag is based on": "Rules",
            "Rules file location": "Elsewhere...|{}",
            "Rules file name": "f.x",
        },
    ),
    "FilterObjects": _file(
        "FilterObjects",
        {
            "Select the filtering mode": "Classifiers",
            "Select the location of the rules or classifier file": "Elsewhere...|{}",
            "Rules or classifier file name": "f.x",
        },
    ),
    "ClassifyObjects": _file(
        "ClassifyObjects",
        {
            "Make each classification decision on how many measurements?": (
                "Classifier Model"
            ),
            "Select the location of the classifier model file": "Elsewhere...|{}",
            "Rules or classifier file name": "f.x",
        },
    ),
    "UntangleWorms": _training("UntangleWorms", **{_MODE: "Untangle"}),
    "StraightenWorms": _training("StraightenWorms"),
    "MatchTemplate": _file("MatchTemplate", {"Template": "{}/f.x"}),
    "RunImageJMacro": _file(
        "RunImageJMacro", {"Macro directory": "Elsewhere...|{}", "Macro": "f.x"}
    ),
    "by its path": _file(
        "FlagImage",
        {
            "Flag is based on": "Rules",
            "Rules file location": "Default Input Folder|",
            "Rules file name": "{}/f.x",
        },
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_fingerprint_changes_with_the_files_that_the_pipeline_names_by_their_paths(
    built: Built, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "elsewhere"
    module = NAMED[name].format(folder)
    built.pipeline.write_text(build.pipeline_text(build.SITE, module))
    missing = prints(built)
    build.write(folder / "f.x", "rules")
    before = prints(built)
    build.write(folder / "other.x", "rules")
    assert prints(built) == before
    build.write(folder / "f.x", "RULES")
    for old in (missing, before):
        whys = {tuple(changed(old[i], now)) for i, now in prints(built).items()}
        assert whys == {("its plugins or rules",)}


def test_a_training_set_that_is_written_is_none_that_is_read(
    built: Built, tmp_path: Path
) -> None:
    module = _training("UntangleWorms", **{_MODE: "Train"}).format(tmp_path / "w")
    built.pipeline.write_text(build.pipeline_text(build.SITE, module))
    before = prints(built)
    build.write(tmp_path / "w/f.x", "worms")
    assert prints(built) == before


def test_a_plugins_folder_that_is_not_there_is_refused(built: Built) -> None:
    settings('[steps.analysis]\nplugins = "plugins"\n')(built)
    with pytest.raises(InputError, match=r"plugins: is not there or empty"):
        plan(built)


def test_fingerprints_of_groups_differ(built: Built) -> None:
    assert len(set(prints(built).values())) == 4


def test_fingerprint_sees_where_one_value_ends_and_the_next_begins() -> None:
    table = build.table(["a", "b"], ["12", "3"], ["1", "23"])
    assert of_image_sets(table, [0], [1, 2]) != of_image_sets(table, [1], [1, 2])


def test_fingerprint_sees_the_header() -> None:
    first, other = build.table(["a"], ["1"]), build.table(["b"], ["1"])
    assert of_image_sets(first, [0], [1, 2]) != of_image_sets(other, [0], [1, 2])


def test_fingerprint_sees_the_number_of_rows() -> None:
    table = build.table(["a"], ["1"], ["1"])
    assert of_image_sets(table, [0], [1, 2]) != of_image_sets(table, [0, 1], [1, 2])


def test_fingerprint_sees_the_image_number() -> None:
    table = build.table(["a"], ["1"])
    assert of_image_sets(table, [0], [1]) != of_image_sets(table, [0], [2])


def test_fingerprint_is_short_parts(built: Built) -> None:
    for made_of in prints(built).values():
        assert re.fullmatch("v2-[0-9a-f]{8}-[0-9a-f]{8}-0(-[0-9a-f]{8}){2}", made_of)


def test_fingerprint_tells_which_part_changed(built: Built) -> None:
    before = prints(built)
    change(built.pipeline, "Nuclei", "Kernels")
    change(built.csv, "A01_1.tif", "A01_9.tif")
    now = prints(built)
    whys = {job_id: changed(before[job_id], now[job_id]) for job_id in now}
    assert whys.pop("P1-A01-1") == ["the pipeline", "its image sets"]
    assert set(map(tuple, whys.values())) == {("the pipeline",)}


def test_fingerprints_of_another_make_are_not_compared() -> None:
    assert changed("0123456789ab", "a-b-c-d") == ["the way cpengine compares"]


# Parts


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["P1-A01-1", "P1-A01-2", "P1-A02-1", "P1-A02-2"]),
        ({"plates": "P1"}, ["P1-A01-1", "P1-A01-2", "P1-A02-1", "P1-A02-2"]),
        ({"wells": "A02"}, ["P1-A02-1", "P1-A02-2"]),
        ({"sites": "1"}, ["P1-A01-1", "P1-A02-1"]),
        ({"wells": "A01 A02", "sites": "2"}, ["P1-A01-2", "P1-A02-2"]),
        ({"plates": "P1", "wells": "A01", "sites": "1"}, ["P1-A01-1"]),
    ],
)
def test_part_is_taken(
    wanted: dict[str, str], expected: list[str], built: Built
) -> None:
    assert ids(plan(built, part(**wanted))) == expected


def test_part_without_a_plate_leaves_its_csv_alone(tmp_path: Path) -> None:
    built = build.project(tmp_path, plates=["P1", "P2"])
    built.csv.write_text("broken")
    assert {job.group[0][1] for job in plan(built, part(plates="P2")).jobs} == {"P2"}


def test_column_that_groups_lack_does_not_matter() -> None:
    assert in_part((("Metadata_Plate", "P1"),), part(sites="7"))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"plates": "SQ1"}, "--plate SQ1: is not in the plan: it has P1, P2"),
        ({"wells": "A1"}, "--well A1: is not in the plan: did you mean A01?"),
        ({"sites": "001"}, "--site 001: is not in the plan: did you mean 1?"),
        (
            {"wells": "A01 H12"},
            "--well H12: is not in the plan: it has A01, A02, A03, A04, A05, A06, A07, "
            "A08 and 1 more",
        ),
        (
            {"plates": "P2", "wells": "A09"},
            "--plate P2 --well A09: no group has them all: drop one",
        ),
    ],
)
def test_part_that_no_group_belongs_to_is_refused(
    wanted: dict[str, str], expected: str
) -> None:
    jobs = [] if len(wanted) == 2 else [object()]
    wells = [f"A0{n}" for n in range(1, 10)]
    known = dict(zip(SITE_KEYS, (["P1", "P2"], wells, ["1"]), strict=True))
    with pytest.raises(InputError) as caught:
        check_part(part(**wanted), jobs, known)
    assert str(caught.value) == expected


def test_site_is_taken_as_it_is_where_no_site_makes_groups() -> None:
    check_part(part(sites="9"), [object()], {"Metadata_Plate": ["P1"]})


# Names


def test_ids_of_a_plan_are_unique_over_plates(tmp_path: Path) -> None:
    made = plan(build.project(tmp_path, plates=["P1", "P2"]))
    assert len(set(ids(made))) == len(made.jobs) == 8


def test_jobs_go_plate_by_plate_in_the_order_of_the_csv(tmp_path: Path) -> None:
    built = build.project(tmp_path, plates=["P2", "P1"], wells=["B02", "A01"])
    assert ids(plan(built, part(sites="1"))) == [
        "P1-B02-1",
        "P1-A01-1",
        "P2-B02-1",
        "P2-A01-1",
    ]


def test_plates_of_the_project_file_set_their_order(tmp_path: Path) -> None:
    built = build.project(tmp_path, plates=["P1", "P2", "P3"], sites=["1"])
    change(built.toml, "batch =", 'plates = ["P3", "P1"]\nbatch =')
    assert [job.id[:2] for job in plan(built).jobs] == ["P3", "P3", "P1", "P1"]


def test_of_values_that_differ_in_zeros_the_first_is_hinted_at() -> None:
    assert suggestion("A1", ["00A1", "0A1"]) == ": did you mean 00A1?"
    assert suggestion("A2", ["00A1", "0A1"]) == ": it has 00A1, 0A1"


def test_plan_counts_jobs_and_image_sets_of_each_plate(tmp_path: Path) -> None:
    built = build.project(tmp_path, plates=["P1", "P2"], tags="Plate,Well")
    toml = (
        '[steps.analysis]\noutput_structure = ""\n'
        'group = ["Metadata_Plate", "Metadata_Well"]\n'
    )
    settings(toml)(built)
    made = plan(built)
    assert made.per_plate() == {"P1": (2, 4), "P2": (2, 4)}
    assert made.image_sets == 8


def test_batch_file_gives_the_groups_of_the_csv(built: Built) -> None:
    expected = ids(plan(built))
    build.batch_of(built)
    settings('[steps.analysis]\ngroups = "batch"\n')(built)
    assert ids(plan(built)) == expected


def test_batch_file_without_a_plate_of_the_project_is_refused(built: Built) -> None:
    build.batch_of(built)
    settings('[steps.analysis]\ngroups = "batch"\n')(built)
    change(built.toml, "batch =", 'plates = ["P1", "P9"]\nbatch =')
    with pytest.raises(InputError, match=r"has no plate P9 .* it has P1"):
        plan(built)


@pytest.mark.parametrize(
    ("tags", "structure", "place"),
    [
        ("Site,Well,Plate", "", "P1/analysis/P1-A01-1"),
        ("Plate,Well", "", "P1-A01"),
        ("Well", 'output_structure = "x/Metadata_Well"\n', "x/A01"),
    ],
)
def test_groups_and_places_come_from_the_batch_file(
    built: Built, tags: str, structure: str, place: str
) -> None:
    build.batch_of(built, tags=tags)
    settings(f'[steps.analysis]\ngroups = "batch"\n{structure}')(built)
    assert plan(built).jobs[0].place == place


def test_batch_file_is_found_by_the_name_that_cellprofiler_gives_it(
    built: Built,
) -> None:
    expected = ids(plan(built))
    build.batch_of(built, "Batch_data.h5")
    settings('[steps.analysis]\ngroups = "batch"\n')(built)
    assert ids(plan(built)) == expected


def test_batch_file_of_a_newer_cellprofiler_is_doubtful(built: Built) -> None:
    change(built.pipeline, "DateRevision:4281", "DateRevision:500")
    build.batch_of(built)
    settings('[steps.analysis]\ngroups = "batch"\n')(built)
    (found,) = [f for f in plan(built).findings if f.rule.name == "pipeline-newer"]
    assert found.cause.startswith("was saved by CellProfiler 5.0.0, 4.2.8.1 is")
    assert found.severity is Severity.WARNING


def test_batch_file_that_groups_otherwise_is_refused(built: Built) -> None:
    path = build.batch_of(built, tags="Plate,Well")
    group = '"Metadata_Plate", "Metadata_Well", "Metadata_Site"'
    settings(f'[steps.analysis]\ngroups = "batch"\ngroup = [{group}]\n')(built)
    with pytest.raises(InputError) as caught:
        plan(built)
    assert str(caught.value) == (
        f"{path}: groups by Metadata_Plate, Metadata_Well, the step by "
        "Metadata_Plate, Metadata_Well, Metadata_Site: remove the step's `group`"
    )


def test_fingerprint_changes_with_the_output(built: Built) -> None:
    before = prints(built)
    settings('[steps.analysis]\noutput = "elsewhere"\n')(built)
    assert prints(built)["P1-A01-1"] != before["P1-A01-1"]


# Flagged sites


def rules_of(made: Plan) -> list[str]:
    return [finding.rule.name for finding in made.findings]


def test_jobs_of_flagged_sites_are_left_out(built: Built) -> None:
    made = plan(built, Part(flagged=frozenset({("P1", "A01", "2"), ("P9", "A", "1")})))
    assert ids(made) == ["P1-A01-1", "P1-A02-1", "P1-A02-2"]
    assert rules_of(made) == ["flagged-left-out"]


def test_a_job_with_other_sites_runs_whole(tmp_path: Path) -> None:
    built = build.project(
        tmp_path, pipeline="qc.cppipe", data_file="load_data.csv", tags="Plate,Well"
    )
    flagged = frozenset({("P1", "A01", "1")})
    made = built.project().plan("qc", Part(flagged=flagged))
    assert ids(made) == ["P1-A01", "P1-A02"]
    assert rules_of(made) == ["flagged-kept"]
    made = built.project().plan("qc", Part(flagged=flagged | {("P1", "A01", "2")}))
    assert ids(made) == ["P1-A02"]
    assert rules_of(made) == ["flagged-left-out"]
