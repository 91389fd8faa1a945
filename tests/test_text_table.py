"""Tables of text: what comes from outside is text in a notebook, too."""

from cpengine.text_table import TextTable


def test_texts_are_escaped() -> None:
    table = TextTable(("<a>",), [("<b>\x1b[31m",)], "<c>", lines=["<d>"])
    html = table.html()
    for text in ("&lt;a&gt;", "&lt;b&gt;\\x1b[31m", "&lt;c&gt;", "<p>&lt;d&gt;</p>"):
        assert text in html
    assert "<b>" not in html


def test_text_has_columns_that_stand_below_each_other() -> None:
    table = TextTable(
        ("plate", "jobs"), [("P1", "12"), ("P10\x1b", "2")], lines=["end"]
    )
    assert table.text().splitlines() == [
        "plate    jobs",
        "P1         12",
        "P10\\x1b     2",
        "end",
    ]


def test_numbers_stand_to_the_right() -> None:
    html = TextTable(("plate", "jobs"), [("P1", "2")]).html()
    assert '<td style="text-align: left">P1</td>' in html
    assert '<td style="text-align: right">2</td>' in html
