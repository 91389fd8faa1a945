"""Tables of text: what comes from outside is text in a notebook, too."""

from cpengine.text_table import TextTable


def test_texts_are_escaped() -> None:
    table = TextTable(("<a>",), [("<b>\x1b[31m",)], "<c>", lines=["<d>"])
    html = table.html()
    for text in ("&lt;a&gt;", "&lt;b&gt;\\x1b[31m", "&lt;c&gt;", "<p>&lt;d&gt;</p>"):
        assert text in html
    assert "<b>" not in html


def test_numbers_stand_to_the_right() -> None:
    html = TextTable(("plate", "jobs"), [("P1", "2")]).html()
    assert '<td style="text-align: left">P1</td>' in html
    assert '<td style="text-align: right">2</td>' in html
