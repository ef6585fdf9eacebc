"""An ECS client for Pipes that is patient at a task's start: AWS may have no capacity for a while, may ask for
fewer calls, or may start a task that never comes up."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hokusai_validation.errors import SuiteError

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import RunTaskResponseTypeDef

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 60.0
_STARTING = {"PROVISIONING", "PENDING", "ACTIVATING"}
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html and RunTask's errors
_OF_THE_MOMENT = {
    "ThrottlingException",
    "ServerException",
    "ServiceUnavailable",
    "RequestLimitExceeded",
    "Throttling",
    "LimitExceededException",
}


class PatientEcs:
    """boto3's ECS client, but for two calls. `start_limit_s` is how long AWS may take until a task runs:
    to accept it, and again to bring it up. `rest_s` waits."""

    def __init__(
        self, client: Any, *, start_limit_s: float, rest_s: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._start_limit_s = start_limit_s
        self._rest_s = rest_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def run_task(self, **asked: Any) -> "RunTaskResponseTypeDef":
        """`RunTask`, asked again with longer and longer waits while there is no capacity.

        Raises SuiteError when there is none within the limit, ClientError for what will not pass."""
        from botocore.exceptions import ClientError

        waited, wait = 0.0, FIRST_WAIT_S
        while True:
            why = ""
            try:
                answer: RunTaskResponseTypeDef = self._client.run_task(**asked)
                if answer.get("tasks"):
                    return answer
                why = _reasons(answer)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _OF_THE_MOMENT:
                    raise
                why = str(error)
            if waited + wait > self._start_limit_s:
                raise SuiteError(f"ECS started no task within {self._start_limit_s:g} s: {why}")
            self._rest_s(wait)
            waited += wait
            wait = min(LONGEST_WAIT_S, wait * 2)

    def get_waiter(self, name: str) -> "_Stopped":
        """The one waiter that Pipes asks for: until a task has stopped."""
        assert name == "tasks_stopped", name
        return _Stopped(self._client, self._start_limit_s, self._rest_s)


class _Stopped:
    def __init__(self, client: Any, start_limit_s: float, rest_s: Callable[[float], None]) -> None:
        self._client = client
        self._start_limit_s = start_limit_s
        self._rest_s = rest_s

    def wait(self, *, WaiterConfig: Mapping[str, int], **asked: Any) -> None:
        """Until all tasks have stopped.

        Raises SuiteError where one does not start in time, or runs longer than it may."""
        waited = 0.0
        delay, attempts = WaiterConfig["Delay"], WaiterConfig["MaxAttempts"]
        for _ in range(attempts):
            tasks = self._client.describe_tasks(**asked).get("tasks", ())
            states = {task.get("lastStatus", "") for task in tasks}
            if states <= {"STOPPED"} and tasks:
                return
            if states & _STARTING and waited >= self._start_limit_s:
                raise SuiteError(
                    f"the task is still {', '.join(sorted(states))} after {self._start_limit_s:g} s:"
                    " no capacity, no address in the subnet, or an image that can't be pulled"
                )
            self._rest_s(delay)
            waited += delay
        raise SuiteError(f"the task ran longer than {delay * attempts:g} s")


def _reasons(answer: "RunTaskResponseTypeDef") -> str:
    found = [
        f"{failure.get('reason', '')} {failure.get('detail', '')}".strip()
        for failure in answer.get("failures", ())
    ]
    return "; ".join(found) or "no task and no reason"
