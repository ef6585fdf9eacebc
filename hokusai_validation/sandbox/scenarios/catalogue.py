"""All scenarios, from the files that lie beside this one."""

from hokusai_validation.sandbox.scenarios.model import CLEAN, Scenario

SCENARIOS: tuple[Scenario, ...] = (CLEAN,)
