"""Rules, and the places where they are broken."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What it means when a rule is broken."""

    ERROR = "error"
    """Jobs would fail, or their results would be wrong without anybody's notice."""
    WARNING = "warning"
    """It is mostly a mistake, but jobs can run."""
    NOTE = "note"
    """Results are right; it is worth knowing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    section: str
    title: str
    """What is wrong where it is broken, in a few words."""
    symptom: str
    """What a user would see, had it not been checked."""
    cure: str
    """What to do, for any place that breaks it."""
    severity: Severity = Severity.ERROR
    guards: bool = False
    """Whether results would be wrong, mixed or overwritten unseen: never softened."""

    def found(self, place: str, cause: str, cure: str) -> "Finding":
        """A place that breaks the rule."""
        return Finding(self, place, cause, cure)

    def parse(self, line: str) -> "Finding":
        """A place that a message in the form `place: cause: cure` tells of."""
        place, _, rest = line.partition(": ")
        cause, _, cure = rest.rpartition(": ")
        return Finding(self, place, cause or rest, cure if cause else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule is broken."""

    rule: Rule
    place: str
    """`file:row:column`, or a setting, or a group."""
    cause: str
    cure: str

    @property
    def severity(self) -> Severity:
        """The rule's."""
        return self.rule.severity

    def __str__(self) -> str:
        text = ": ".join(filter(None, (self.place, self.cause, self.cure)))
        return text.replace("\n", "\\n")  # else it would be taken for two

    def to_json(self) -> dict[str, Any]:
        """The finding as `--json` prints it."""
        return {
            "rule": self.rule.name,
            "severity": self.severity,
            **{name: asdict(self)[name] for name in ("place", "cause", "cure")},
        }


RULES: dict[str, Rule] = {}
"""All rules by name, in the order of the troubleshooting page."""
GUARDS = frozenset(
    """
    csv-file-again csv-illum-of-other-plate csv-quotes csv-row-longer csv-same-file
    csv-site-twice export-elsewhere export-to-database group-names-clash
    group-value-unfit group-values-read-as-one input loaddata-range-of-rows
    module-newer output-structure saves-over-itself
    """.split()  # noqa: SIM905 (as a list it would take twenty lines)
)


def rule(
    name: str,
    section: str,
    title: str,
    symptom: str,
    cure: str,
    severity: Severity = Severity.ERROR,
) -> Rule:
    """Add a rule to those that there are."""
    guards = name in GUARDS
    RULES[name] = Rule(name, section, title, symptom, cure, severity, guards)
    return RULES[name]
