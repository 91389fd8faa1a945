"""How findings of a check are printed."""

from collections.abc import Sequence

from rich.text import Text

from cpengine.cli.printing import out, print_err
from cpengine.rules import Finding, Severity

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def show_findings(findings: Sequence[Finding]) -> None:
    """Three short lines each: a place is long, and is what one copies."""
    for finding in findings:
        style = _STYLES[finding.severity]
        head = f" {finding.place} [{finding.rule.name}]"
        out.print(Text.assemble((f"  {finding.severity}", style), head))
        out.print(Text(f"    {finding.cause}"))
        if finding.cure:
            out.print(Text(f"    what to do: {finding.cure}"))


def name_explain(findings: Sequence[Finding]) -> None:
    """Say how to read more of the rules, if there are findings."""
    if findings:
        rule = findings[-1].rule.name
        print_err(f"what a finding means: cpengine explain RULE, such as {rule}")
