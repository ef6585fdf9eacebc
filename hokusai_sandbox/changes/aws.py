"""Changes of what AWS knows and does: its states."""

import json

from hokusai_sandbox.changes.ground import ChangeFailed, Ground, Undo, Values, text


async def state(ground: Ground, values: Values) -> Undo:
    """Switch `state` on, with the other values."""
    name = text(values, "state")
    given = {key: value for key, value in values.items() if key not in ("do", "state")}
    await _tell(ground, "POST", name, given)

    async def back() -> None:
        await _tell(ground, "DELETE", name, {})

    return back


async def _tell(ground: Ground, method: str, name: str, values: Values) -> None:
    try:
        status, answer = await ground.supervisor.aws(
            method, f"/_sandbox/states/{name}", json.dumps(dict(values)).encode()
        )
    except ValueError as error:
        raise ChangeFailed(f"AWS did not take the state {name}: {error}.") from None
    if status != 200:
        raise ChangeFailed(f"AWS did not take the state {name}: {answer[:200]!r}.")
