"""What a run that was killed may have left of the target's own state: faults whose leases run out, breakers
that it had opened. It is waited for and put right before anything is judged, and held against nobody."""

import contextlib
import time
from collections.abc import Sequence

from hokusai_validation.errors import ExpectationUnmet, RequestFailed
from hokusai_validation.probes.baseline import WELL
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.probes.states import POLL_S, Scene
from hokusai_validation.resources import own_faults
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.resources.recording import recording
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target


def settle(instances: Sequence[ApiInstance], target: Target) -> bool:
    """Wait until every instance is well with its breaker CLOSED, for `limits.recovery_s` at most; whether
    it came to that. What is seen meanwhile is no observation of this run."""
    until = time.monotonic() + target.limits.recovery_s
    with own_faults.on(), recording(Recorder(Places(target), "aftermath.")):
        well = [_well(Scene(each, None, target, Evidence(target)), until) for each in instances]
    return all(well)


def _well(scene: Scene, until: float) -> bool:
    while True:
        with contextlib.suppress(ExpectationUnmet, RequestFailed):
            scene.close_breaker()
            if all(state in WELL for state in scene.services().values()):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(POLL_S)
