"""LoadData's settings go by their order: their texts have changed over the years."""

import pytest

from cpengine.inputs.load_settings import LoadSettings, load_settings

NEW = ["Default Input Folder|", "a.csv", "Yes", "Elsewhere...|/x", "No", "1,9", "Yes"]
OLD = ["Default Image Folder", "/old", "a.csv", "Yes", "Default Image Folder", "/x"]


def read(*values: str) -> LoadSettings:
    return load_settings([(f"text {n}", value) for n, value in enumerate(values)])


@pytest.mark.parametrize("more", [(), ("Yes",)])
def test_revisions_from_4_on(more: tuple[str, ...]) -> None:
    found = read(*NEW, "Plate,Well", *more)
    assert found == LoadSettings(True, ("Elsewhere...", "/x"), None, ("Plate", "Well"))


def test_revisions_2_and_3() -> None:
    found = read(*OLD, "Yes", "2,5", "Yes", "Plate")
    assert found == LoadSettings(
        True, ("Default Input Folder", "/x"), "2,5", ("Plate",)
    )


def test_revision_1_does_not_group() -> None:
    found = read(*OLD, "No", "1,9")
    assert found == LoadSettings(True, ("Default Input Folder", "/x"), None, ())


def test_few_settings_go_by_their_texts() -> None:
    texts = {
        "Group images by metadata?": "Yes",
        "Load images based on this data?": "No",
    }
    texts["Select metadata tags for grouping"] = "Plate"
    found = load_settings(list(texts.items()))
    assert found == LoadSettings(False, ("None", ""), None, ("Plate",))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("Default Input Folder sub-folder|a", "Default Input Folder sub-folder"),
        ("Default input directory sub-folder|a", "Default Input Folder sub-folder"),
        ("Default Image Directory|", "Default Input Folder"),
        ("Default output folder|", "Default Output Folder"),
        ("Absolute path elsewhere|/x", "Elsewhere..."),
        ("None|", "None"),
        ("Desktop|x", "Desktop"),
    ],
)
def test_kinds_of_folders_have_one_name(written: str, kind: str) -> None:
    assert read(*NEW[:3], written, *NEW[4:], "").base[0] == kind
