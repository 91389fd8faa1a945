"""The documentation agrees with the code and with itself."""

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from cpengine import cli, config
from cpengine.model import ATTEMPTS, FailureKind

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CODE = ROOT / "src/cpengine"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("backends/**/*.md")]
)
_LINK = re.compile(r"\]\((?P<file>[^)#:\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "cli.md",
        "project-file.md",
        "cpengine.schema.json",
        "gallery.md",
        "../how-to/troubleshooting.md",
    ],
)
def test_generated_pages_are_up_to_date(generate: ModuleType, name: str) -> None:
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert page == generate.pages()[name], "run `make docs`"


def test_a_list_of_commands_has_nothing_between_its_lines() -> None:
    page = (DOCS / "reference/cli.md").read_text(encoding="utf-8")
    after = re.findall(r"^- \[`.*\n\n(.*)", page, re.MULTILINE)
    assert after
    assert [line for line in after if not line.startswith(("#", "|"))] == []


def test_the_example_project_file_is_valid(
    generate: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / config.FILE_NAME).write_text(generate.EXAMPLE)
    config.load(tmp_path / config.FILE_NAME)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for link in _LINK.finditer(_prose(page)):
        target = (page.parent / link["file"]).resolve() if link["file"] else page
        assert target.exists(), link[0]
        if link["anchor"]:
            assert link["anchor"] in _anchors(target), link[0]


def _prose(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Headings as GitHub makes anchors of them."""
    texts = (re.sub(r"[^\w\- ]", "", h.lower()) for h in _HEADING.findall(_prose(page)))
    return {text.replace(" ", "-") for text in texts}


def test_errors_page_has_every_exit_code() -> None:
    page = (DOCS / "reference/errors.md").read_text()
    for code in (cli.OK, cli.SOME_FAILED, cli.BAD_INPUT, cli.INTERRUPTED):
        assert f"\n| {code} |" in page


@pytest.mark.parametrize("kind", FailureKind)
def test_errors_page_has_every_kind_and_how_often_it_is_tried(
    kind: FailureKind,
) -> None:
    page = (DOCS / "reference/errors.md").read_text()
    times = {1: "once", 2: "twice", 3: "three times"}[ATTEMPTS.get(kind, 1)]
    assert re.search(rf"^\| `{kind}` \|.*\| {times} \|", page, re.MULTILINE)


_AWS_SAYS = {
    "(Access Denied)",
    "AccessDenied",
    "<app>_perInstance",
    "ecs delete_cluster: ClusterContains...",
    "machines",
    "sqs create_queue: QueueDeletedRecently",
}
_STANDS_FOR = re.compile(r"\.\.\.|\b(?!AWS\b|SQS\b)[A-Z]+\b|'[^']*'|\d+")


def test_aws_page_quotes_what_the_code_says() -> None:
    page = (DOCS / "how-to/aws.md").read_text()
    _, table = page.split("## When something is wrong\n")
    rows = [line.split(" | ")[0] for line in table.splitlines() if "| " in line]
    quoted = {text for row in rows for text in re.findall("`([^`]+)`", row)}
    assert len(quoted) > 30
    texts = [text for path in sorted(CODE.rglob("*.py")) for text in _texts(path)]
    wrong = []
    for text in quoted - _AWS_SAYS:
        parts = [re.escape(part.strip(" :$")) for part in _STANDS_FOR.split(text)]
        pattern = re.compile(".*".join(filter(None, parts)))
        if not any(map(pattern.search, texts)):
            wrong.append(text)
    assert wrong == []


def _texts(path: Path) -> Iterator[str]:
    """The texts of a module, with an @ for what is put into them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "@"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_readme_starts_with_demo_and_test() -> None:
    first = re.search(r"```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert first is not None
    assert first[1].splitlines() == ["make demo", "make test"]


def test_executors_have_assets_and_a_page_of_the_same_name() -> None:
    files = (ROOT / "src/cpengine/executors").glob("[!_.]*")
    seam = {"base", "contract", "detach", "entry", "inline", "machine_spec"}
    seam |= {"early_exits", "exec_job", "registry", "retry", "room"}
    code = {path.stem for path in files} - seam
    assets = {path.name for path in (ROOT / "backends").iterdir() if path.is_dir()}
    assert code == assets
    for name in code:
        assert (DOCS / f"how-to/{name}.md").exists(), name


def test_python_example_uses_names_that_exist() -> None:
    page = (DOCS / "reference/python.md").read_text()
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    for node in ast.walk(ast.parse(example[1])):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names)


def test_every_public_name_is_on_the_python_page() -> None:
    page = (DOCS / "reference/python.md").read_text()
    public = importlib.import_module("cpengine").__all__
    assert [name for name in public if f"`{name}`" not in page] == []


_CODE = re.compile(r"`(?P<file>[a-z_/]+\.py)`(?:: (?P<names>`[\w.]+`(?:, `[\w.]+`)*))?")


def test_design_page_names_files_and_functions_that_exist() -> None:
    page = (DOCS / "explanation/design.md").read_text()
    named = [found for found in _CODE.finditer(page) if found["file"] != "host.py"]
    assert len(named) > 30
    for found in named:
        path = (
            ROOT / found["file"] if "tests/" in found["file"] else CODE / found["file"]
        )
        assert path.exists(), found[0]
        for name in re.findall(r"`([\w.]+)`", found["names"] or ""):
            assert _defines(path, name), found[0]


def _defines(path: Path, dotted: str) -> bool:
    """Whether a module has that function or class, or a method of it."""
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    for name in dotted.split("."):
        inside = [child for node in nodes for child in ast.iter_child_nodes(node)]
        nodes = [n for n in inside if getattr(n, "name", None) == name]
    return bool(nodes)


def test_design_page_draws_every_room() -> None:
    page = (DOCS / "explanation/design.md").read_text()
    rooms = {path.parent.name for path in CODE.glob("*/__init__.py")}
    rooms |= {path.parent.name for path in CODE.glob("results/*/__init__.py")}
    assert [room for room in sorted(rooms) if f"{room}/" not in page] == []
    words = {path.stem for path in CODE.glob("[a-z]*.py")}
    assert [word for word in sorted(words) if word not in page] == []
