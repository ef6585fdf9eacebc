"""Reading something of the AWS process again and again, for the balancer and the name server."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from hokusai_sandbox.webclient import fetch_json

EVERY_S = 0.3
logger = logging.getLogger(__name__)


async def keep_fresh(
    address: str, path: str, token: str, take: Callable[[Any], Awaitable[None] | None]
) -> None:
    """Call `take` with what `path` answers whenever it is another answer than before. What was read
    last stays in force while AWS does not answer."""
    last: Any = None
    while True:
        try:
            value = await fetch_json(address, path, headers={"Authorization": f"Bearer {token}"})
        except (OSError, TimeoutError, ValueError):
            await asyncio.sleep(EVERY_S / 3 if last is None else EVERY_S)
            continue
        if value != last:
            last = value
            waiting = take(value)
            if waiting is not None:
                await waiting
        await asyncio.sleep(EVERY_S)
