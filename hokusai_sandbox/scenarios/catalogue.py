"""All scenarios, from the files that lie beside this one."""

from hokusai_sandbox.scenarios import (
    aws_states,
    database_states,
    gateway_defects,
    parts_out,
    ways_in,
)
from hokusai_sandbox.scenarios.model import CLEAN, Scenario

SCENARIOS: tuple[Scenario, ...] = (
    CLEAN,
    *aws_states.SCENARIOS,
    *parts_out.SCENARIOS,
    *gateway_defects.SCENARIOS,
    *database_states.SCENARIOS,
    *ways_in.SCENARIOS,
)
