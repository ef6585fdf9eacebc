"""The control agent: the supervisor's HTTP interface, by which processes are killed, paused,
limited, and by which what was done under a lease is undone when the lease ends."""

import hmac
import json
import sys
from collections.abc import Callable

from pydantic import JsonValue

from hokusai_sandbox.changes import Applied, ChangeInvalid
from hokusai_sandbox.leases import Leases
from hokusai_sandbox.limits import lift_memory, limit_memory
from hokusai_sandbox.process import Process
from hokusai_sandbox.stressors import Stressors
from hokusai_sandbox.supervisor import Supervisor
from hokusai_sandbox.webserver import Refused, Request
from hokusai_validation.errors import StackError

MAX_DOWN_S = 120.0


class Control:
    """Answers requests. All methods run in the supervisor's loop."""

    def __init__(self, supervisor: Supervisor, changes: Applied) -> None:
        self.supervisor = supervisor
        self.changes = changes
        self.leases = Leases()
        self.stressors = Stressors(supervisor, sys.executable)

    async def handle(self, request: Request) -> JsonValue:
        """One request.

        Raises Refused, ValueError, KeyError, TypeError."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.supervisor.plan.secrets.control_token.encode()):
            raise Refused(401, "The control agent's token is missing or wrong.")
        values = request.json or {}
        if not isinstance(values, dict):
            raise Refused(400, "The body must be a JSON object.")
        match request.method, request.parts:
            case "GET", ("processes",):
                return list[JsonValue](self._described(name) for name in self.supervisor.processes)
            case "GET", ("processes", name):
                self._process(name)
                return self._described(name)
            case "POST", ("processes", name, action):
                return self._act(self._process(name), action, values)
            case "GET", ("leases",):
                return list[JsonValue](self.leases.listed())
            case "POST", ("leases",):
                self.leases.renew(str(values["id"]), float(values["seconds"]))
                return {"id": values["id"], "seconds": values["seconds"]}
            case "DELETE", ("leases", lease):
                if not self.leases.end(lease):
                    raise Refused(404, f"There is no lease {lease!r}; it has ended already.")
                return {"ended": lease}
            case "GET", ("changes",):
                return self.changes.listed()
            case "POST", ("changes",):
                return {"id": await self._changed(values)}
            case "DELETE", ("changes", change):
                if not await self.changes.take_off(change):
                    raise Refused(404, f"There is no change {change!r}.")
                return {"undone": change}
            case "POST", ("reset",):
                return await self._reset()
            case (method, ("aws", *rest)):
                return await self._aws(method, rest, values)
            case _:
                raise Refused(404, f"{request.method} /{'/'.join(request.parts)} is not known.")

    async def _changed(self, values: dict[str, JsonValue]) -> str:
        try:
            return await self.changes.put(values)
        except ChangeInvalid as error:
            raise Refused(400, str(error)) from None
        except StackError as error:
            raise Refused(409, str(error)) from None

    def _process(self, name: str) -> Process:
        found = self.supervisor.processes.get(name)
        if found is None:
            known = ", ".join(self.supervisor.processes)
            raise Refused(404, f"There is no process {name!r}; known: {known}.")
        return found

    def _described(self, name: str) -> dict[str, JsonValue]:
        process = self.supervisor.processes[name]
        rss, cpu = process.measured()
        return {
            "name": name,
            "component": process.service.component,
            "pid": process.pid,
            "state": process.state,
            "ready": self.supervisor.is_ready(name),
            "address": process.service.address,
            "started_at": process.started_at,
            "restarts": process.restarts,
            "rss_bytes": rss,
            "cpu_s": round(cpu, 3),
        }

    def _act(self, process: Process, action: str, values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        name = process.service.name
        lease = None if values.get("lease") is None else str(values["lease"])
        if lease is not None and not self.leases.holds(lease):
            raise Refused(409, f"There is no lease {lease!r}: make it before the fault is put on.")
        match action:
            case "kill":
                down_s = _number(values.get("down_s", 0.0))
                if not 0 <= down_s <= MAX_DOWN_S:
                    raise Refused(400, f"down_s is 0 to {MAX_DOWN_S:g} s.")
                self.supervisor.kill(name, down_s=down_s)
            case "restart":
                self.supervisor.restart(name)
            case "pause":
                if process.pid is None:
                    raise Refused(409, f"{name} is down: there is nothing to pause.")
                process.pause()
                self._under(lease, f"pause {name}", process.resume)
            case "resume":
                process.resume()
                self.leases.forget(f"pause {name}")
            case "memory":
                self._memory(process, lease, values)
            case "stress_memory":
                self.stressors.stress_memory(name, int(_number(values["bytes"])))
                self._under(lease, f"stress_memory {name}", lambda: self.stressors.stress_memory(name, 0))
            case "cpu":
                self.stressors.cpu(name, _number(values["share"]))
                self._under(lease, f"cpu {name}", lambda: self.stressors.cpu(name, 0.0))
            case _:
                raise Refused(404, f"{action!r} is nothing that can be done to a process.")
        return self._described(name)

    def _memory(self, process: Process, lease: str | None, values: dict[str, JsonValue]) -> None:
        name = process.service.name
        if "limit_bytes" in values and values["limit_bytes"] is None:
            lift_memory(process.tree)
            self.leases.forget(f"memory {name}")
            return
        if process.pid is None:
            raise Refused(409, f"{name} is down: its memory can't be limited.")
        try:
            limit_memory(process.tree, int(_number(values["margin_bytes"])))
        except PermissionError:
            raise Refused(
                409, f"{name} runs as another user: its memory can't be limited from here."
            ) from None
        self._under(lease, f"memory {name}", lambda: lift_memory(process.tree))

    def _under(self, lease: str | None, what: str, undo: Callable[[], None]) -> None:
        if lease is not None:
            self.leases.add(lease, what, undo)

    async def _reset(self) -> dict[str, JsonValue]:
        """Undo everything: leases, pauses, limits, stressors, states of AWS."""
        self.leases.end_all()
        self.stressors.end_all()
        for process in self.supervisor.processes.values():
            if process.paused:
                process.resume()
            lift_memory(process.tree)
        if "aws" in self.supervisor.processes:
            await self._aws("DELETE", [], {})
        return {"reset": True}

    async def _aws(self, method: str, rest: list[str], values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """States of AWS: `GET /aws`, `POST /aws/STATE {…}`, `DELETE /aws[/STATE]`. A lease named in
        the body switches it off again."""
        lease = values.pop("lease", None)
        if lease is not None and not self.leases.holds(str(lease)):
            raise Refused(409, f"There is no lease {lease!r}: make it before the state is set.")
        path = "/".join(["/_sandbox/states", *rest])
        try:
            status, body = await self.supervisor.aws(method, path, json.dumps(values).encode())
        except (OSError, TimeoutError, ValueError) as error:
            raise Refused(502, f"The sandbox's AWS did not answer: {error!r}.") from None
        answer: dict[str, JsonValue] = json.loads(body)
        if status != 200:
            raise Refused(status, str(answer.get("detail", answer)))
        if method == "POST" and lease is not None and rest:
            self._under(str(lease), f"aws {rest[0]}", lambda: self._aws_off(rest[0]))
        return answer

    def _aws_off(self, state: str) -> None:
        self.supervisor.later(self._aws_cleared(state))

    async def _aws_cleared(self, state: str) -> None:
        try:
            await self.supervisor.aws("DELETE", f"/_sandbox/states/{state}")
        except (OSError, TimeoutError, ValueError) as error:
            print(f"supervisor: AWS state {state} could not be switched off: {error!r}", flush=True)


def _number(value: JsonValue) -> float:
    """Raises Refused where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(400, f"{value!r} is no number.")
    return value
