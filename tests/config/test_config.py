"""The project file: what is allowed, and what is said of the rest."""

import json
import re
from pathlib import Path

import pytest

from cpengine import config
from cpengine.config import ProjectFile, template
from cpengine.config.steps import STEPS
from cpengine.errors import ConfigError
from cpengine.rules import RULES, Rule
from cpengine.rules.finding import GUARDS

GOOD = '[project]\nname = "proj"\nbatch = "B1"\n'
SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "cpengine.schema.json"
SECTIONS = {
    "project": config.ProjectSection,
    "storage": config.StorageSection,
    "storage.s3": config.S3Section,
    "plate": config.PlateSection,
    "steps.analysis": config.StepSection,
    "steps.analysis.dcp_done": config.DcpDoneSection,
    "cellprofiler": config.CellProfilerSection,
    "run": config.RunSection,
    "executors": config.ExecutorsSection,
    "executors.local": config.LocalSection,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cpengine.toml"


def load(path: Path, text: str) -> ProjectFile:
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def refusal(path: Path, text: str) -> list[str]:
    """Load a file that is wrong; give the lines without the file's name."""
    with pytest.raises(ConfigError) as caught:
        load(path, text)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_smallest_file_has_the_documented_defaults(path: Path) -> None:
    file = load(path, GOOD)
    assert (file.project.plates, file.storage.root, file.storage.layout) == (
        "all",
        ".",
        "default",
    )
    assert (len(file.plate.rows), len(file.plate.columns), file.plate.sites) == (
        16,
        24,
        9,
    )
    assert (file.steps, file.cellprofiler.path, file.executors.local.workers) == (
        {},
        None,
        None,
    )


@pytest.mark.parametrize(
    ("section", "key"),
    [(name, key) for name, model in SECTIONS.items() for key in model.model_fields],
)
def test_misspelt_key_is_reported_with_its_nearest(
    section: str, key: str, path: Path
) -> None:
    misspelt = key[0] + key[2:]
    head = "" if section == "project" else f"[{section}]\n"
    line, *_ = refusal(path, f"{GOOD}{head}{misspelt} = 1\n")[::-1]
    assert line == f"{section}.{misspelt}: unknown key: did you mean {key}?"


def test_upload_flags_that_cannot_be_followed_are_refused(path: Path) -> None:
    (line,) = refusal(path, f'{GOOD}[storage.s3]\nupload_flags = "--dryrun"\n')
    assert line == (
        'storage.s3.upload_flags: "--dryrun" is not allowed: --dryrun: files are not '
        "written so: leave it out"
    )


@pytest.mark.parametrize("section", ProjectFile.model_fields)
def test_misspelt_section_is_reported_with_its_nearest(
    section: str, path: Path
) -> None:
    (line,) = refusal(path, f"{GOOD}[{section}q]\n")
    assert line == f"{section}q: unknown key: did you mean {section}?"


def test_key_like_no_other_is_reported_with_all_that_are_known(path: Path) -> None:
    (line,) = refusal(path, f"{GOOD}[run]\nxyz = 1\n")
    assert line == "run.xyz: unknown key (known: max_failures, notify)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'plates = "al"',
            'project.plates: "al" is not allowed: write a list: ["al"], o',
        ),
        ("plates = []", "project.plates: [] is not allowed: list should have at"),
        ('plates = ["a/b"]', 'project.plates.0: "a/b" is not allowed: use no slash'),
        (
            '[cellprofiler]\nblas_kernel = "SkylakeX; rm"',
            'cellprofiler.blas_kernel: "SkylakeX; rm" is not allowed: name one of',
        ),
        (
            '[cellprofiler]\nexact = "texture"',
            'cellprofiler.exact: "texture" is not allowed: input should be a valid '
            'boolean, or write a list: ["texture"]',
        ),
        ('plates = [".."]', 'project.plates.0: ".." is not allowed: use no slash'),
        ("app_name = 2026_11", "project.app_name: 202611 is not allowed: put quotes"),
        ("app_name = 2026-11-22", 'project.app_name: "2026-11-22" is not allowed: put'),
        ("plates = [2026_11]", "project.plates.0: 202611 is not allowed: put quotes"),
        ("plates = 5", "project.plates: 5 is not allowed: write a list: [5], or input"),
        (
            '[steps.illum]\ngroup = "Metadata_Plate"',
            'steps.illum.group: "Metadata_Plate" is not allowed: write a list: '
            '["Metadata_Plate"]',
        ),
        ('plates = ["P1", "P2", "P1"]', "project.plates: P1 twice: remove one"),
        ('app_name = "a/b"', 'project.app_name: "a/b" is not allowed: use no blank'),
        ("[storage]\nroot = 3", "storage.root: 3 is not allowed: put quotes around it"),
        (
            '[storage]\nlayout = "s3"',
            "storage.layout: \"s3\" is not allowed: input should be 'default' or 'cpg'",
        ),
        (
            '[cellprofiler]\npath = "cp"\nimage = "lab/cp"',
            "cellprofiler.image: cellprofiler.path is set, too: remove one",
        ),
        ('[storage]\nlayout = "cpg"', "storage.source: is missing: layout 'cpg'"),
        ("[plate]\nformat = 1536", "plate.format: 1536 is not allowed: input should"),
        ('[plate]\nrows = ["a"]', 'plate.rows.0: "a" is not allowed: use one or two'),
        ("[plate]\nrows = []", "plate.rows: [] is not allowed: list should have at"),
        ("[plate]\ncolumns = []", "plate.columns: [] is not allowed: list should"),
        ("[plate]\ncolumns = [0]", "plate.columns.0: 0 is not allowed: input should"),
        ("[plate]\nsites = 0", "plate.sites: 0 is not allowed: input should be gre"),
        ("[plate]\nsites = []", "plate.sites: [] is not allowed: input should be a"),
        ("[plate]\nsites = [-1]", "plate.sites.0: -1 is not allowed: input should"),
        ('[plate]\nwells = "A01"', 'plate.wells: "A01" is not allowed: write a list'),
        ('[plate]\npad_wells = "x"', 'plate.pad_wells: "x" is not allowed: input'),
        (
            '[steps.illum]\ngroup = ["Plate"]',
            'steps.illum.group.0: "Plate" is not allowed: write Metadata_ and a name',
        ),
        (
            '[steps.illum]\ngroups = "all"',
            "steps.illum.groups: \"all\" is not allowed: input should be 'csv', 'layout"
            "' or 'batch'",
        ),
        ('[steps.illum]\npipeline = ""', 'steps.illum.pipeline: "" is not allowed: '),
        ("[steps.illum]\ntimeout_min = 0", "steps.illum.timeout_min: 0 is not allo"),
        ("[steps]\nillum = 3", "steps.illum: 3 is not allowed: input should be a"),
        ("[executors.local]\nworkers = 0", "executors.local.workers: 0 is not allo"),
        ("[executors.local]\nmemory_gb = 0", "executors.local.memory_gb: 0 is not a"),
    ],
)
def test_wrong_value_is_one_line_with_key_value_and_what_is_allowed(
    text: str, expected: str, path: Path
) -> None:
    (line,) = refusal(path, GOOD + text + "\n")
    assert line.startswith(expected)


@pytest.mark.parametrize("key", ["name", "batch"])
def test_missing_key_is_named(key: str, path: Path) -> None:
    text = "".join(line for line in GOOD.splitlines(True) if not line.startswith(key))
    assert refusal(path, text) == [f"project.{key}: is missing: add it"]


def test_each_finding_gets_a_line(path: Path) -> None:
    text = f'{GOOD}nam = "x"\n[storage]\nlayout = "s3"\n[plate]\nformat = 1\n'
    assert len(refusal(path, text)) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[project\n", "cannot be read: Expected ']'"),
        (f"{GOOD}[project]\n", "cannot be read: Cannot declare ('project',) twice"),
    ],
)
def test_broken_toml_tells_the_line(text: str, expected: str, path: Path) -> None:
    (line,) = refusal(path, text)
    assert line.startswith(expected)
    assert "(at line " in line


def test_a_section_that_is_there_twice_has_a_cure(path: Path) -> None:
    section = "[executors.slurm]\n"
    (line,) = refusal(path, f"{GOOD}{section}{section}")
    assert "twice (at line 5, " in line
    assert line.endswith(": put its keys below that one's heading")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("plates = [0041744]", "0041744"),
        ("plates = [\n  0041744,\n]", "0041744"),
        ('plates = ["P1", SQ00015167]  # two', "SQ00015167"),
        ("app_name = 2026_11_22_Batch1", "2026_11_22_Batch1"),
        ("app_name = Batch 1", "Batch 1"),
        ("app_name = “lab”", "lab"),
        ("[steps.illum]\ngroup = Metadata_Plate", "Metadata_Plate"),
        ("[steps.illum]\ngroup = [Metadata_Plate]", "Metadata_Plate"),
    ],
)
def test_text_without_quotes_is_quoted(line: str, text: str, path: Path) -> None:
    (message,) = refusal(path, f"{GOOD}{line}\n")
    assert message.startswith("cannot be read: ")
    assert message.endswith(f': put quotes around it: "{text}"')


@pytest.mark.parametrize(
    "line", ["[steps.illum", "a b = 1", "plates", "[run]\nx = True", 'plates = ["P1"']
)
def test_other_broken_toml_has_no_such_advice(line: str, path: Path) -> None:
    assert "quotes" not in refusal(path, f"{GOOD}{line}\n")[0]


def test_file_that_is_no_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read: 'utf-8' codec"):
        config.load(path)


def test_missing_file_is_reported_with_how_to_make_one(path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there: make one with `cpengine init"):
        config.load(path)


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        ("", "pipeline, group, output"),
        ('pipeline = "a.cppipe"\noutput = "out"\n', "group"),
    ],
)
def test_step_of_ones_own_must_say_what_it_is(
    keys: str, missing: str, path: Path
) -> None:
    (line,) = refusal(path, f"{GOOD}[steps.extra]\n{keys}")
    assert line == (
        f"steps.extra: is not a built-in step and has no {missing}: add what is missing"
    )


@pytest.mark.parametrize("step", STEPS)
def test_misspelt_step_is_reported_with_its_nearest(step: str, path: Path) -> None:
    (line,) = refusal(path, f"{GOOD}[steps.{step}x]\n")
    assert f"(did you mean {step}?)" in line


# Rules of the check


def test_rules_can_be_softened(path: Path) -> None:
    file = load(path, f'{GOOD}[check]\ngrouping-differs = "warn"\n')
    assert file.check == {"grouping-differs": "warn"}


@pytest.mark.parametrize("rule", [rule for rule in RULES.values() if rule.guards])
def test_rules_that_guard_results_cannot(rule: Rule, path: Path) -> None:
    (line,) = refusal(path, f'{GOOD}[check]\n{rule.name} = "warn"\n')
    assert line.startswith(f"check.{rule.name}: guards against wrong or mixed results")


def test_what_guards_results_is_a_rule() -> None:
    assert set(RULES) >= GUARDS


def test_each_wrong_rule_is_a_line_with_its_nearest(path: Path) -> None:
    text = f'{GOOD}[check]\ngroup-differs = "off"\nq = "off"\ninput = "off"\n'
    assert refusal(path, text) == [
        "check.group-differs: is no rule: did you mean grouping-differs?",
        "check.q: is no rule: `cpengine explain` lists them",
        "check.input: guards against wrong or mixed results and cannot be set: remove "
        "the line",
    ]


def test_rules_are_not_made_stricter(path: Path) -> None:
    (line,) = refusal(path, f'{GOOD}[check]\ngrouping-differs = "error"\n')
    assert line.endswith("is not allowed: input should be 'warn' or 'off'")


# The file that `cpengine init` writes


def template_text(**options: str) -> str:
    text = {"name": "proj", "batch": "B1", "root": "."} | options
    return template.project_file(**text)


@pytest.mark.parametrize("options", [{}, {"layout": "cpg", "source": "source_4"}])
def test_template_loads(options: dict[str, str], path: Path) -> None:
    file = load(path, template_text(**options))
    assert (file.project.name, file.project.batch) == ("proj", "B1")
    assert file.storage.layout == options.get("layout", "default")
    assert file.storage.source == options.get("source", "")


def test_template_loads_with_each_commented_key_in_use(path: Path) -> None:
    text = re.sub(r"^# (?=\w+ = |\[|\"s3:)", "", template_text(), flags=re.MULTILINE)
    file = load(path, text)
    assert (file.plate.format, file.executors.local.workers) == (384, 4)


def test_template_shows_every_key() -> None:
    shown = template_text()
    keys = {key for model in SECTIONS.values() for key in model.model_fields}
    shown_as = {key: (f"{key} = ", f".{key}]", f".{key}.") for key in keys}
    hidden = {key for key in keys if not any(way in shown for way in shown_as[key])}
    assert hidden == set()


# The schema for editors


def test_schema_in_the_documentation_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == config.schema()


def test_schema_describes_every_key() -> None:
    schema = json.loads(config.schema())
    undescribed = [
        f"{name}.{key}"
        for name, section in schema["$defs"].items()
        for key, about in section["properties"].items()
        if "description" not in about
    ]
    assert undescribed == []
