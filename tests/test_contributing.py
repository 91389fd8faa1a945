"""What contributors are told is there, and what runs for them is of one version."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("CONTRIBUTING.md", "README.md", "docs/explanation/architecture.md")
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_targets_and_folders_that_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    run = [
        target
        for line in re.findall(r"(?:^|`)make ([a-z -]+)", text, re.MULTILINE)
        for target in line.split()
    ]
    assert set(run) <= targets
    places = re.findall(r"`((?:src|tests|docs|benchmarks)(?:/[\w.]+)*)`", text)
    assert [place for place in places if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_commit(workflow: Path) -> None:
    used = re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8"))
    assert used
    assert [a for a in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", a)] == []


def test_the_makefile_runs_what_workflows_ask_for() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for workflow in WORKFLOWS:
        for line in re.findall(r"run: make (.+)", workflow.read_text()):
            for target in line.split():
                assert f"\n{target}:" in makefile, target
    ours = (ROOT / ".ci/run").read_text()
    assert "make lint types shape" in ours
    assert "make test" in ours
