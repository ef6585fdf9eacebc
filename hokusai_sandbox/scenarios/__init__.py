"""Scenarios: realistic defects that the sandbox can be started with. Each is data, so several can
be joined: `--scenario redis_absent+rollout_failed`."""

from hokusai_sandbox.scenarios.model import Scenario, find, names

__all__ = ["Scenario", "find", "names"]
