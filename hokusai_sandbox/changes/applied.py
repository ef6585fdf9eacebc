"""The changes that are in force, by id; the newest is undone first."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from pydantic import JsonValue

from hokusai_sandbox.changes import aws, certificate, links, nginx, processes
from hokusai_sandbox.changes.ground import ChangeFailed, ChangeInvalid, Ground, Undo, Values, text

Kind = Callable[[Ground, Values], Awaitable[Undo]]


def kinds() -> dict[str, Kind]:
    """Every kind of change; the drivers of the stores are imported only when one is asked for."""
    from hokusai_sandbox.changes import database, redis

    return {
        "aws": aws.state,
        "certificate": certificate.served,
        "environment": processes.environment,
        "hba": database.hba,
        "kill": processes.kill,
        "limit": processes.limit,
        "link": links.change,
        "nginx": nginx.between,
        "pause": processes.pause,
        "redis": redis.commands,
        "redis_memory": redis.memory,
        "session": database.session,
        "sql": database.sql,
    }


class Applied:
    """Puts changes on a sandbox and takes them off. All methods run in the supervisor's loop."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._numbers = itertools.count(1)
        self._on: dict[str, tuple[Values, Undo]] = {}
        self._turn = asyncio.Lock()

    async def put(self, values: Values) -> str:
        """Make a change; its id.

        Raises ChangeInvalid, ChangeFailed."""
        name = text(values, "do")
        known = kinds()
        kind = known.get(name)
        if kind is None:
            raise ChangeInvalid(f"There is no change {name!r}; known: {', '.join(sorted(known))}.")
        async with self._turn:
            try:
                undo = await kind(self._ground, values)
            except (OSError, TimeoutError) as error:
                raise ChangeFailed(f"The change `{name}` could not be made: {error!r}.") from None
            found = f"change-{next(self._numbers)}"
            self._on[found] = (values, undo)
            return found

    async def take_off(self, found: str) -> bool:
        """Undo one; False when there is none of this id.

        Raises ChangeFailed."""
        async with self._turn:
            item = self._on.pop(found, None)
            if item is None:
                return False
            try:
                await item[1]()
            except (OSError, TimeoutError) as error:
                raise ChangeFailed(f"The change {found} could not be undone: {error!r}.") from None
            return True

    def listed(self) -> list[JsonValue]:
        """What is in force."""
        return [{"id": found, "change": dict(values)} for found, (values, _) in self._on.items()]
