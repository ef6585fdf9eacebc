"""All scenarios, from the files that lie beside this one."""

from hokusai_sandbox.scenarios import (
    aws_states,
    database_states,
    dependency_outages,
    gateway_defects,
    ingress_outages,
    public_reports,
)
from hokusai_sandbox.scenarios.model import CLEAN, Scenario

SCENARIOS: tuple[Scenario, ...] = (
    CLEAN,
    *aws_states.SCENARIOS,
    *dependency_outages.SCENARIOS,
    *gateway_defects.SCENARIOS,
    *database_states.SCENARIOS,
    *ingress_outages.SCENARIOS,
    *public_reports.SCENARIOS,
)
