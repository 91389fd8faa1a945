"""Before a step runs: files of shared folders that jobs own which are no more.

Seen against all jobs of the step, whatever part of it the run or the project takes.
"""

from collections.abc import Sequence
from dataclasses import replace

from cpengine.errors import CpengineError
from cpengine.executors import registry
from cpengine.ledger.heartbeat import is_alone
from cpengine.ledger.ledger import step_ledger
from cpengine.ledger.past_claims import (
    PastClaims,
    can_meet,
    places_wanted,
    refused_names,
)
from cpengine.ledger.standing import Standing
from cpengine.planning.job_list import ids
from cpengine.planning.plan import EVERYTHING, Plan
from cpengine.planning.planner import plan_step
from cpengine.planning.project import ResolvedProject
from cpengine.plates import Part


def release_claims(
    project: ResolvedProject,
    plan: Plan,
    part: Part,
    standings: Sequence[Standing],
    run: str,
) -> int:
    """Let claims of jobs that no longer exist give way; give how many did.

    Nothing is read where jobs have folders of their own or all have results, and only
    markers are listed where there is no sign of such jobs.

    Parameters
    ----------
    plan
        What is run of the step.
    part
        The part that it is.
    run
        The id of the run's record; its driver has given its sign.

    Raises
    ------
    StorageError
        The ledger cannot be read or written.
    """
    ledger = step_ledger(project, plan.step)
    places = places_wanted(standings) if can_meet(plan.jobs[0]) else {}
    if not places:
        return 0
    refused = refused_names(ledger, standings)
    if not refused and ledger.markers().keys() <= set(ids(plan.jobs)):
        return 0
    whole = whole_plan(project, plan, part)
    if whole is None:
        return 0

    def alone() -> bool:
        others = any(each.goes_on_alone(ledger) for each in registry.entries())
        return not others and is_alone(ledger, run)

    return PastClaims(ledger, whole.jobs, places, refused).give_way(alone)


def whole_plan(project: ResolvedProject, plan: Plan, part: Part) -> Plan | None:
    """The plan of all groups that the step's tables list; None if it cannot be made.

    Parameters
    ----------
    plan
        The plan of some of them.
    part
        The part that it is of.
    """
    whole = _without_choice(project, plan.step.name)
    if whole.file == project.file and part == EVERYTHING:
        return plan
    try:
        found = plan_step(whole, plan.step.name, unchecked=True)
    except CpengineError:  # a table of another plate, say
        return None
    return found if set(ids(plan.jobs)) <= set(ids(found.jobs)) else None


def _without_choice(project: ResolvedProject, name: str) -> ResolvedProject:
    """The project without what leaves out plates, wells or sites."""
    file = project.file
    section = file.project.model_copy(update={"plates": "all"})
    steps = dict(file.steps)
    if name in steps:
        source = "csv" if steps[name].groups == "layout" else steps[name].groups
        all_groups = {"groups": source, "job_file": None}
        steps[name] = steps[name].model_copy(update=all_groups)
    return replace(
        project, file=file.model_copy(update={"project": section, "steps": steps})
    )
