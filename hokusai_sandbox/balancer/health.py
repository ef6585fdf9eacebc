"""Health checks: every registered target is asked again and again; two bad answers take it out,
two good ones put it back, and AWS is told."""

import asyncio
import contextlib
import json

from hokusai_sandbox.balancer.routing import Table, TargetState
from hokusai_sandbox.webclient import fetch

EVERY_S = 0.5
TIMEOUT_S = 2.5  # longer than the gateway's own health time-out: a slow truth is not a dead target
THRESHOLD = 2
STARTING = 30  # bad answers until a target that was never good is unhealthy: it may still be starting


async def check_forever(table: Table, aws_address: str, token: str) -> None:
    """Check and tell until cancelled."""
    running: dict[tuple[str, str, int], asyncio.Task[None]] = {}
    told: list[dict[str, str]] | None = None
    told_at = 0.0
    loop = asyncio.get_running_loop()
    while True:
        targets = {item.key: item for item in table.targets}
        for key in [key for key in running if key not in targets or running[key].done()]:
            running.pop(key).cancel()
        for key, target in targets.items():
            if key not in running:
                running[key] = asyncio.create_task(_check_one(target))
        health = [
            {
                "group": item.group,
                "id": item.host,
                "state": item.state,
                "reason": item.reason,
                "description": item.description,
            }
            for item in targets.values()
        ]
        # Told again now and then: an AWS process that was started again knows nothing.
        if health and (health != told or loop.time() > told_at + 2.0):
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                await fetch(
                    aws_address,
                    "/_sandbox/health",
                    method="POST",
                    headers={"Authorization": f"Bearer {token}"},
                    body=json.dumps(health).encode(),
                )
                told, told_at = health, loop.time()
        await asyncio.sleep(0.1)


async def _check_one(target: TargetState) -> None:
    while True:
        started = asyncio.get_running_loop().time()
        try:
            status, _ = await fetch(f"{target.host}:{target.port}", target.health_path, timeout_s=TIMEOUT_S)
        except TimeoutError:
            seen(target, False, "Target.Timeout", "Request timed out")
        except (OSError, ValueError):
            seen(target, False, "Target.FailedHealthChecks", "Health checks failed")
        else:
            seen(
                target,
                status == 200,
                "Target.ResponseCodeMismatch",
                f"Health checks failed with these codes: [{status}]",
            )
        pause_s = 0.1 if target.state == "initial" else EVERY_S
        await asyncio.sleep(max(0.05, started + pause_s - asyncio.get_running_loop().time()))


def seen(target: TargetState, good: bool, reason: str, description: str) -> None:
    """Count one check. The first good one suffices for a target that was just registered."""
    if good:
        target.good, target.bad = target.good + 1, 0
        if target.state == "initial" or target.good >= THRESHOLD:
            target.state, target.reason, target.description = "healthy", "", ""
    else:
        target.bad, target.good = target.bad + 1, 0
        if target.bad >= (STARTING if target.state == "initial" else THRESHOLD):
            target.state, target.reason, target.description = "unhealthy", reason, description
