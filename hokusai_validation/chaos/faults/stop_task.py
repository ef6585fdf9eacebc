"""A stopped ECS task. ECS starts another in its place; there is nothing to undo."""

import time
from dataclasses import dataclass

from hokusai_validation.chaos.faults.base import Fault, Reach
from hokusai_validation.errors import AwsError, FaultNotApplied, NotPermitted
from hokusai_validation.target import FaultKind

REASON = "Hokusai Validation: chaos experiment"
LEAST_RUNNING = 2
POLL_S = 1.0


@dataclass(frozen=True)
class StopTask(Fault):
    """One task of a component's ECS service is stopped. Refused where fewer than two run."""

    name: str
    seen_within_s: float = 30.0
    kind = FaultKind.STOP_TASK

    @property
    def touches(self) -> tuple[str, ...]:
        return (f"one ECS task of {self.name}",)

    @property
    def component(self) -> str:
        return self.name

    def apply(self, reach: Reach) -> None:
        cluster, service = self._service(reach)
        try:
            running = [task for task in reach.aws.ecs.tasks(service) if task.status == "RUNNING"]
            if len(running) < LEAST_RUNNING:
                raise NotPermitted(
                    f"ECS service {service} runs {len(running)} task(s); one is stopped only where at least"
                    f" {LEAST_RUNNING} run."
                )
            # The oldest: the one that a deployment would replace first.
            task = min(running, key=lambda each: str(each.started_at or ""))
            reach.notes[self] = task.arn
            reach.aws.calls.call("ecs", "stop_task", cluster=cluster, task=task.arn, reason=REASON)
        except AwsError as error:
            raise FaultNotApplied(f"No task of {service} was stopped: {error}") from None

    def prove(self, reach: Reach) -> str:
        cluster, service = self._service(reach)
        arn = reach.notes[self]
        deadline = time.monotonic() + self.seen_within_s
        status = "unknown"
        while True:
            try:
                tasks = reach.aws.calls.call("ecs", "describe_tasks", cluster=cluster, tasks=[arn])["tasks"]
            except AwsError as error:
                raise self.not_proven(error) from None
            status = tasks[0]["lastStatus"] if tasks else "STOPPED"
            if status in ("STOPPED", "DEPROVISIONING", "STOPPING"):
                return f"{service}: task {arn.rpartition('/')[2]} is {status}"
            if time.monotonic() > deadline:
                raise self.not_proven(f"task {arn} is {status}")
            time.sleep(POLL_S)

    def undo(self, reach: Reach) -> None:
        """ECS starts another task by itself."""

    def by_hand(self, reach: Reach) -> str:
        cluster, service = self._service(reach)
        return f"aws ecs describe-services --cluster {cluster} --services {service}"

    def _service(self, reach: Reach) -> tuple[str, str]:
        aws = reach.target.aws
        if aws is None or self.name not in aws.services:
            raise FaultNotApplied(f"Target '{reach.target.name}' names no ECS service for {self.name}.")
        return aws.cluster, aws.services[self.name].service
