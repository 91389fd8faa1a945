"""The rules that a step must keep before it runs, and what is found against them.

This is the one source of what `cpengine check` says and of the troubleshooting page,
which has them in the order of these imports.
"""

# ruff: isort: off
# ruff: noqa: F403
from cpengine.rules.finding import RULES as RULES
from cpengine.rules.finding import Finding as Finding
from cpengine.rules.finding import Rule as Rule
from cpengine.rules.finding import Severity as Severity
from cpengine.rules.table_rules import *
from cpengine.rules.group_rules import *
from cpengine.rules.pipeline_rules import *
from cpengine.rules.input_rules import *
from cpengine.rules.machine_rules import *
from cpengine.rules.gallery_rules import *
