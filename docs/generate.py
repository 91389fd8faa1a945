"""Make the reference pages that repeat the code: `make docs`.

The command line comes from typer's commands, the project file from its models.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from cpengine import config
from cpengine.cellprofiler.find import IMAGE_VARIABLE, VARIABLE
from cpengine.cli import app
from cpengine.config import AwsSection, MachinesSection, forms, template
from cpengine.config.steps import STEPS
from cpengine.executors.aws.settings import Settings, settle
from cpengine.rules import RULES, Rule, Severity
from cpengine.rules.gallery_rules import GALLERY

REFERENCE = Path(__file__).parent / "reference"
MADE = (
    "<!-- Made from the code by docs/generate.py: run `make docs` after a change. -->"
)

EXAMPLE = """\
[project]
name = "2015_10_05_DrugRepurposing"
batch = "2016_04_01_a549_48hr_batch1"
plates = ["SQ00015167", "SQ00015168"]

[storage]
root = "/data/imaging"

[plate]
format = 384
sites = 9
excluded_wells = ["A01", "P24"]

[steps.analysis]
pipeline = "analysis_v2.cppipe"
groups = "layout"
timeout_min = 120

[steps.nuclei]                   # a step of your own
pipeline = "nuclei.cppipe"
group = ["Metadata_Plate", "Metadata_Well"]
output = "projects/2015_10_05_DrugRepurposing/workspace/nuclei"

[executors.local]
workers = 8
"""

TROUBLESHOOTING = """\
# Troubleshooting: what is looked at before a run

{made}

`cpengine check` looks for all of this, and `cpengine run` does so before it starts
anything; `cpengine explain RULE` says in the terminal what a rule is. Each finding has
the name of its rule, which stands here with what you would have seen, had it run.
Errors stop a run, unless it is given `--unchecked`; warnings do not. `cpengine check
--strict` takes warnings for errors, `--json` is for programs, and `--on slurm` and the
like also ask whether that place would take the jobs.

A rule that is wrong about your pipeline can be set to warn, or left out:

```toml
[check]
image-small = "off"
sites-missing = "off"
```

This holds for the rules below but these, which guard against wrong or mixed results:
{guards}. What keeps jobs from being made stays an error, too. The record of each run
has the rules that were set.

It takes listings, and no request an image: see
[performance](../explanation/performance.md). Images are looked at for the jobs that are
left; those that an earlier step of the same command makes may be missing yet. Where
CellProfiler is installed, it is asked what it objects to in the pipeline; what it said
is kept in `CPENGINE_HOME`. For each step it also says which files a job will write.

What failed in a run: [failed jobs](failed-jobs.md) and
[errors](../reference/errors.md).

"""

BREACHES = """\
# Breaches of the Gallery's structure

{made}

What `cpengine gallery check` looks for, by the documentation of the
[Cell Painting Gallery](https://broadinstitute.github.io/cellpainting-gallery/data_structure.html):
[how to use it](../how-to/on-the-cell-painting-gallery.md). `cpengine explain RULE` says
the same in the terminal. A project's [`[check]`](project-file.md#check) can set a rule
to warn or off; this counts where its own folder is looked at.

"""

ENVIRONMENT = {
    VARIABLE: "The `cellprofiler` program, or its environment's folder.",
    IMAGE_VARIABLE: "A container image with CellProfiler, instead.",
    "CPENGINE_HOME": "Where `cpengine cellprofiler install` keeps CellProfiler.",
    "JAVA_HOME": "The Java that CellProfiler is built and run with.",
    "CC": "The C compiler that it is built with.",
    "TMPDIR": "Where scratch folders go, unless `executors.local.scratch` is set.",
}

CHECK = """\
## `[check]`

Rules of `cpengine check` by name, each `"warn"` (it does not stop a run) or `"off"` (it
is left out): `image-small = "off"`. Their names, and which cannot be set:
[troubleshooting](../how-to/troubleshooting.md).
"""
SECTIONS = {
    "ProjectSection": "[project]",
    "StorageSection": "[storage]",
    "S3Section": "[storage.s3]",
    "PlateSection": "[plate]",
    "StepSection": "[steps.NAME]",
    "DcpDoneSection": "[steps.NAME.dcp_done]",
    "CellProfilerSection": "[cellprofiler]",
    "RunSection": "[run]",
    "LocalSection": "[executors.local]",
    "SlurmSection": "[executors.slurm]",
    "ClusterSection": "[executors.pbs], [executors.lsf], [executors.sge]",
    "HTCondorSection": "[executors.htcondor]",
    "DaskSection": "[executors.dask]",
    "AwsSection": "[executors.aws]",
    "MachinesSection": "[executors.aws.steps.NAME]",
    "DcpWorkerSection": "[executors.aws.dcp]",
}
NOTES = {
    "ProjectSection": "On AWS, names begin with `app_name` and end with the step: "
    "`my_project_AnalysisQueue`. Without it they begin with `name`.",
    "StepSection": "`NAME` is a [built-in step](layout.md#the-seven-steps), whose "
    "defaults are on that page, or a name of your own. A step of your own needs "
    "`pipeline`, `group` and `output`.",
    "AwsSection": "How to run: [AWS](../how-to/aws.md). The section has all keys of "
    "[`[executors.aws.steps.NAME]`](#executorsawsstepsname), too: there for one step, "
    "here for all others.",
}


def pages() -> dict[str, str]:
    """Every generated page, by file name."""
    return {
        "cli.md": cli_page(),
        "project-file.md": project_file_page(),
        "cpengine.schema.json": config.schema(),
        "gallery.md": gallery_page(),
        "../how-to/troubleshooting.md": troubleshooting_page(),
    }


def troubleshooting_page() -> str:
    """What `cpengine check` looks for: one table a section."""
    of_runs = [rule for rule in RULES.values() if rule.section != GALLERY]
    guards = ", ".join(f"`{rule.name}`" for rule in of_runs if rule.guards)
    lines = TROUBLESHOOTING.format(made=MADE, guards=guards).splitlines()
    for section in dict.fromkeys(rule.section for rule in of_runs):
        of_section = (rule for rule in of_runs if rule.section == section)
        lines += [f"## {section}", "", *_rule_table(of_section), ""]
    return "\n".join(lines)


def gallery_page() -> str:
    """What `cpengine gallery check` looks for."""
    breaches = (rule for rule in RULES.values() if rule.section == GALLERY)
    return "\n".join(
        [BREACHES.format(made=MADE) + "\n".join(_rule_table(breaches)), ""]
    )


def _rule_table(rules: Iterable[Rule]) -> Iterator[str]:
    """Rules as a table."""
    yield "| rule | what is wrong | else you would see | what to do |"
    yield "|---|---|---|---|"
    for rule in rules:
        yield f"| {_named(rule)} | {rule.title} | {rule.symptom} | {rule.cure} |"


def _named(rule: Rule) -> str:
    """A rule's name, with how it is meant where jobs would not fail."""
    mild = "" if rule.severity is Severity.ERROR else f" ({rule.severity})"
    return f"`{rule.name}`{mild}"


def cli_page() -> str:
    """The reference of the command line."""
    root = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        MADE,
        "",
        "What is asked for goes to stdout, progress and messages to stderr.",
        "Exit codes: [errors](errors.md#exit-codes).",
        "",
        *(line for path, command in _commands("cpengine", root)
          for line in _command(path, command)),
        "## Environment variables",
        "",
        "| name | what it does |",
        "|---|---|",
        *(f"| `{name}` | {text} |" for name, text in ENVIRONMENT.items()),
        "",
        "What `cpengine worker` is told: "
        "[AWS](../how-to/aws.md#what-a-container-is-told).",
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}", getattr(child, "imported", child))


def _command(path: str, command: Any) -> Iterator[str]:
    names = [_usage(p) for p in command.params if _is_argument(p)]
    children = ["COMMAND"] if hasattr(command, "commands") else []
    yield from (f"## `{path}`", "", command.help, "")
    usage = " ".join([path, "[OPTIONS]", *names, *children])
    yield from ("```", usage, "```", "")
    for child, of in getattr(command, "commands", {}).items():
        anchor = f"{path} {child}".replace(" ", "-")
        text = getattr(of, "imported", of).help.partition("\n")[0]
        yield f"- [`{child}`](#{anchor}): {text}"
    if children:
        yield ""
    if command.params:
        yield from ("| name | value | default | what it does |", "|---|---|---|---|")
        yield from map(_parameter, command.params)
        yield ""


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _usage(parameter: Any) -> str:
    name = parameter.name.upper()
    name = name if parameter.required else f"[{name}]"
    return f"{name}..." if parameter.nargs == -1 else name


def _parameter(parameter: Any) -> str:
    if _is_argument(parameter):
        names = parameter.name.upper()
    else:
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    again = ", more than once" if parameter.multiple else ""
    default = parameter.default
    shown = "" if default is None or default is False else f"`{default}`"
    if parameter.required:
        shown = "required"
    shown = "none" if shown == "``" else shown
    value = "" if getattr(parameter, "is_flag", False) else _value(parameter) + again
    return f"| `{names}` | {value} | {shown} | {parameter.help} |"


def _value(parameter: Any) -> str:
    text = str(parameter.type_descriptor.annotation)
    kind = "folder" if "Path" in text else "number" if "int" in text else "text"
    if parameter.min is not None and parameter.max is not None:
        return f"{kind}, {parameter.min} to {parameter.max}"
    return kind if parameter.min is None else f"{kind} from {parameter.min}"


def project_file_page() -> str:
    """The reference of `cpengine.toml`."""
    schema = config.ProjectFile.model_json_schema()
    lines = [
        *_project_file_head(),
        *(line for name in SECTIONS for line in _section(name, schema["$defs"][name])),
        *CHECK.splitlines(),
        "",
        "## The file that `cpengine init` writes",
        "",
        "```toml",
        template.project_file(
            name="my_project", batch="2026_01_01_Batch1", root="."
        ).rstrip(),
        "```",
    ]
    return "\n".join(lines).rstrip() + "\n"


def _project_file_head() -> Iterator[str]:
    yield from ("# Project file", "", MADE, "")
    yield (
        "`cpengine.toml` says which images, where, and what differs from the "
        "[defaults](layout.md). It is [TOML](https://toml.io). Only `project.name` "
        "and `project.batch` are required. A key that is not listed here is refused."
    )
    yield from ("", "Paths:", "")
    yield (
        "- The roots in `[storage]`, `cellprofiler.path` and "
        "`executors.local.scratch` may be relative to the project file's folder."
    )
    yield (
        "- Places in `[steps.NAME]` are below `storage.root` (`workspace`, `outputs`), "
        "or absolute paths, or addresses such as `s3://bucket/folder`. See "
        "[storage](../how-to/storage.md)."
    )
    yield from ("", "For an editor that knows TOML schemas, start the file with:", "")
    yield from ("```toml", "#:schema ./cpengine.schema.json", "```", "")
    yield (
        "and put [cpengine.schema.json](cpengine.schema.json) beside it. "
        "`--workers` on the command line wins over `executors.local.workers`."
    )
    hint = forms.PATTERNS[forms.NAME]
    yield from ("", f"A *name* in the tables is text: {hint}.")
    yield from ("", "## Example", "", "```toml", EXAMPLE.rstrip(), "```", "")


def _section(name: str, section: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## `{SECTIONS[name]}`", "", section["description"], "")
    if name in NOTES:
        yield from (NOTES[name], "")
    if name == "MachinesSection":
        yield from _presets()
    yield from ("| key | value | default | what it is |", "|---|---|---|---|")
    required = section.get("required", ())
    elsewhere = MachinesSection.model_fields if name == "AwsSection" else ()
    for key, about in section["properties"].items():
        if key in elsewhere:
            continue
        default = "required" if key in required else _default(about["default"])
        text = about["description"]
        yield f"| `{key}` | {_allowed(about)} | {default} | {text} |"
    yield ""


def _presets() -> Iterator[str]:
    """What a step on AWS gets where the project file sets nothing."""
    common = _settled("own", "cpengine")
    keys = ("machine_types", "machine_price", "tasks_per_machine", "memory_mb")
    values = [f"`{key} = {json.dumps(getattr(common, key))}`" for key in keys]
    yield (
        f"Where nothing is set, every step has {', '.join(values)}, `cpu_shares` of "
        f"1024 a core and `ebs_gb = {common.ebs_gb}`. For worker `cpengine` "
        f"`visibility_s` is {common.visibility_s} and `job_retries` "
        f"{common.job_retries}; for `dcp` `job_retries` is "
        f"{_settled('own', 'dcp').job_retries}. The rest is as in "
        "Distributed-CellProfiler's examples, by step:"
    )
    yield ""
    yield (
        "| step | `machines` | `cores` | `visibility_s` for `dcp` | "
        "`seconds_to_start` for `dcp` |"
    )
    yield "|---|---|---|---|---|"
    for step in (*STEPS, "a step of your own"):
        s = _settled(step if step in STEPS else "own", "dcp")
        machines = "a quarter of the plates" if step == "illum" else s.machines
        yield (
            f"| {step} | {machines} | {s.cores} | {s.visibility_s} | "
            f"{s.seconds_to_start} |"
        )
    yield ""


def _settled(step: str, worker: Any) -> Settings:
    return settle(AwsSection(worker=worker), step, project="p", base="p")


def _default(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, dict) and value:
        return "its defaults"
    if isinstance(value, list) and len(value) > 4:
        return f"`[{json.dumps(value[0])}, ..., {json.dumps(value[-1])}]`"
    return f"`{json.dumps(value)}`"


def _allowed(about: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in about:
        choices = [c for c in about["anyOf"] if c.get("type") != "null"]
        return ", or ".join(map(_allowed, choices))
    if "const" in about:
        return f"`{json.dumps(about['const'])}`"
    if "enum" in about:
        return " or ".join(f"`{json.dumps(value)}`" for value in about["enum"])
    if "$ref" in about or about["type"] == "object":
        return "a section"
    if about["type"] == "array":
        return f"list of {_allowed(about['items'])}"
    if about["type"] == "boolean":
        return "`true` or `false`"
    return _scalar(about)


def _scalar(about: Mapping[str, Any]) -> str:
    if about["type"] == "string":
        pattern = about.get("pattern")
        if pattern == forms.NAME:
            return "name"
        return f"text ({forms.PATTERNS[pattern]})" if pattern else "text"
    kind = "whole number" if about["type"] == "integer" else "number"
    if "exclusiveMinimum" in about:
        return f"{kind} above {about['exclusiveMinimum']:g}"
    return f"{kind} from {about['minimum']:g}" if "minimum" in about else kind


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
