"""Changes of the links between the parts: cut, led elsewhere, or with a toxic on them."""

import itertools
import json

from hokusai_sandbox.changes.ground import ChangeFailed, ChangeInvalid, Ground, Undo, Values, table, texts
from hokusai_sandbox.plan import proxy_name
from hokusai_sandbox.webclient import fetch

_NUMBERS = itertools.count(1)


async def change(ground: Ground, values: Values) -> Undo:
    """On each of `edges`: `cut` (refused), `toxic` (of Toxiproxy's form), or another `upstream`."""
    edges = texts(values, "edges")
    unknown = [edge for edge in edges if edge not in ground.plan.edges]
    if unknown or not edges:
        raise ChangeInvalid(f"There are no edges {unknown}; known: {', '.join(ground.plan.edges)}.")
    toxic = table(values, "toxic")
    if toxic:
        toxic["name"] = f"change_{next(_NUMBERS)}"
        for edge in edges:
            await _tell(ground, edge, "POST", toxic, "/toxics")

        async def take_off() -> None:
            for edge in edges:
                await _tell(ground, edge, "DELETE", {}, f"/toxics/{toxic['name']}")

        return take_off
    upstream = values.get("upstream")
    if upstream is not None:
        return await lead(ground, edges, str(upstream))
    if not values.get("cut"):
        raise ChangeInvalid("A change `link` needs `cut`, `toxic` or `upstream`.")
    for edge in edges:
        await _tell(ground, edge, "POST", {"enabled": False})

    async def join() -> None:
        for edge in edges:
            await _tell(ground, edge, "POST", {"enabled": True})

    return join


async def lead(ground: Ground, edges: tuple[str, ...], upstream: str) -> Undo:
    """Lead edges to another address (`host:port`)."""
    before = {edge: await upstream_of(ground, edge) for edge in edges}
    for edge in edges:
        await _tell(ground, edge, "POST", {"upstream": upstream})

    async def back() -> None:
        for edge, old in before.items():
            await _tell(ground, edge, "POST", {"upstream": old})

    return back


async def upstream_of(ground: Ground, edge: str) -> str:
    """Where an edge leads now."""
    return str(json.loads(await _tell(ground, edge, "GET", {}))["upstream"])


async def _tell(ground: Ground, edge: str, method: str, value: dict[str, object], path: str = "") -> bytes:
    body = json.dumps(value).encode() if method == "POST" else b""
    whole = f"/proxies/{proxy_name(edge)}{path}"
    try:
        status, answer = await fetch(ground.plan.address("links"), whole, method=method, body=body)
    except ValueError as error:
        raise ChangeFailed(f"The links did not take the change of {edge}: {error}.") from None
    if status // 100 != 2 and not (method == "DELETE" and status == 404):
        raise ChangeFailed(f"The links did not take the change of {edge}: {answer[:200]!r}.")
    return answer
