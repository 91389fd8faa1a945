"""The command that says what a rule of the check means: `explain`."""

from typing import Annotated

import typer

from cpengine.cli import completion
from cpengine.cli.printing import print_json, print_out
from cpengine.errors import InputError
from cpengine.rules import RULES, Rule, Severity
from cpengine.wording import did_you_mean

_MEANS = {
    Severity.ERROR: "error: it stops a run, unless that is given --unchecked",
    Severity.WARNING: "warning: jobs can run; `cpengine check --strict` refuses it",
    Severity.NOTE: "note: results are right; it is worth knowing",
}


def explain(
    rule: Annotated[
        str | None,
        typer.Argument(
            autocompletion=completion.rules,
            help="The rule, as `cpengine check` names it. Default: list them.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a rule of the check means: what one would see, and what to do."""
    if rule is not None and rule not in RULES:
        hint = did_you_mean(rule, RULES, form="{} ")
        raise InputError(f"{rule}: is no rule: {hint}`cpengine explain` lists them")
    rules = list(RULES.values()) if rule is None else [RULES[rule]]
    if as_json:
        print_json([_to_json(each) for each in rules])
    elif rule is None:
        _list(rules)
    else:
        _show(rules[0])


def _list(rules: list[Rule]) -> None:
    """The rules by section, a line each."""
    width = max(len(each.name) for each in rules)
    for section in dict.fromkeys(each.section for each in rules):
        print_out(section)
        for each in rules:
            if each.section == section:
                print_out(f"  {each.name:<{width}}  {each.title}")


def _show(rule: Rule) -> None:
    print_out(f"{rule.name} ({rule.section})")
    print_out(f"  what is wrong       {rule.title}.")
    print_out(f"  else you would see  {rule.symptom}")
    print_out(f"  what to do          {rule.cure}")
    print_out(f"  severity            {_MEANS[rule.severity]}")
    print_out(f"  project file        {_setting(rule)}")


def _setting(rule: Rule) -> str:
    """Whether `[check]` can soften it."""
    if rule.guards:
        return "cannot be set: it guards against wrong or mixed results"
    return f'{rule.name} = "warn" (or "off") below [check]'


def _to_json(rule: Rule) -> dict[str, str | bool]:
    return {
        "rule": rule.name,
        "section": rule.section,
        "severity": rule.severity,
        "title": rule.title,
        "symptom": rule.symptom,
        "cure": rule.cure,
        "can_be_set": not rule.guards,
    }
