"""Toxiproxy's HTTP API, and what is ours beside it: `/leases`, `lease` on toxics and on
`enabled: false`, `counters` on proxies."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hokusai_validation.errors import PortTaken
from hokusai_validation.links.config import (
    MAX_PROXIES,
    ConfigInvalid,
    ProxyConfig,
    proxy_config,
    split_address,
)
from hokusai_validation.links.http import HttpError, Request, Response
from hokusai_validation.links.leases import LeaseInvalid, Leases
from hokusai_validation.links.proxy import Proxy
from hokusai_validation.links.toxics import Toxic, ToxicInvalid, make
from hokusai_validation.links.toxics import attributes as toxic_attributes
from hokusai_validation.links.toxics import toxicity as toxic_toxicity

if TYPE_CHECKING:
    from pydantic import JsonValue

# Clients compare it; ours says which documentation the API follows.
VERSION = "2.12.0-hokusai"


class Api:
    """Every link of the program, by name, and the requests that change them."""

    def __init__(self) -> None:
        self.proxies: dict[str, Proxy] = {}
        self.leases = Leases(self._undo)

    async def create(self, config: ProxyConfig) -> Proxy:
        """A new link.

        Raises PortTaken."""
        proxy = Proxy(config)
        try:
            await proxy.settle()
        except PortTaken:
            await proxy.close()
            raise
        self.proxies[config.name] = proxy
        return proxy

    async def close(self) -> None:
        """End every link."""
        for proxy in self.proxies.values():
            await proxy.close()
        self.proxies.clear()

    async def handle(self, request: Request) -> Response:
        """Answer one request.

        Raises HttpError."""
        try:
            return await self._route(request)
        except (ConfigInvalid, ToxicInvalid, LeaseInvalid) as error:
            raise HttpError(400, str(error)) from None
        except PortTaken as error:
            raise HttpError(500, str(error)) from None

    async def _route(self, request: Request) -> Response:
        method, body = request.method, request.body
        match (method, *request.path):
            case ("GET", "version"):
                return Response(200, {"version": VERSION})
            case ("GET", "proxies"):
                return Response(200, {name: proxy.describe() for name, proxy in self.proxies.items()})
            case ("POST", "proxies"):
                return await self._create(body)
            case ("POST", "populate"):
                return await self._populate(body)
            case ("POST", "reset"):
                return await self._reset()
            case ("GET", "proxies", name):
                return Response(200, self._proxy(name).describe())
            case ("POST" | "PATCH", "proxies", name):
                return await self._update(self._proxy(name), _object(body))
            case ("DELETE", "proxies", name):
                await self._proxy(name).close()
                del self.proxies[name]
                return Response(204)
            case ("GET", "proxies", name, "toxics"):
                return Response(200, [toxic.describe() for toxic in self._proxy(name).toxics.values()])
            case ("POST", "proxies", name, "toxics"):
                return await self._add_toxic(self._proxy(name), body)
            case ("GET", "proxies", name, "toxics", toxic):
                return Response(200, self._toxic(name, toxic).describe())
            case ("POST" | "PATCH", "proxies", name, "toxics", toxic):
                return self._update_toxic(self._toxic(name, toxic), _object(body))
            case ("DELETE", "proxies", name, "toxics", toxic):
                self._toxic(name, toxic)
                await self.proxies[name].remove(toxic)
                return Response(204)
            case ("GET", "leases"):
                return Response(200, self.leases.describe())
            case ("POST", "leases"):
                values = _object(body)
                return Response(200, self.leases.hold(values.get("id"), values.get("seconds")))
            case ("DELETE", "leases", lease):
                if not await self.leases.end(lease):
                    raise HttpError(404, "lease not found")
                return Response(204)
        raise HttpError(404, f"{method} /{'/'.join(request.path)} is not part of the API")

    async def _create(self, body: object) -> Response:
        config = proxy_config(body)
        if config.name in self.proxies:
            raise HttpError(409, "proxy already exists")
        if len(self.proxies) >= MAX_PROXIES:
            raise HttpError(400, f"there are {MAX_PROXIES} links already")
        return Response(201, (await self.create(config)).describe())

    async def _populate(self, body: object) -> Response:
        if not isinstance(body, list) or len(body) > MAX_PROXIES:
            raise HttpError(400, f"bad request body: expected a JSON list of at most {MAX_PROXIES} links")
        made: list[JsonValue] = []
        for config in [proxy_config(values) for values in body]:
            known = self.proxies.get(config.name)
            if known is not None and _same(known, config):
                made.append(known.describe())
                continue
            if known is not None:
                await known.close()
                del self.proxies[config.name]
            made.append((await self.create(config)).describe())
        return Response(201, {"proxies": made})

    async def _reset(self) -> Response:
        await self.leases.end_all()
        for proxy in self.proxies.values():
            await proxy.clean()
        return Response(204)

    async def _update(self, proxy: Proxy, values: "Mapping[str, JsonValue]") -> Response:
        config = proxy_config(
            {
                "name": proxy.name,
                "listen": values.get("listen") or proxy.listen,
                "upstream": values.get("upstream") or proxy.upstream,
                "enabled": values.get("enabled", proxy.enabled),
            }
        )
        lease = self._lease(values)
        if not _same_address(config.listen, proxy.listen) or config.upstream != proxy.upstream:
            await proxy.move(config.listen, config.upstream)
        if config.enabled:
            await proxy.enable()
        elif proxy.enabled or "lease" in values:
            await proxy.disable(lease)
        return Response(200, proxy.describe())

    async def _add_toxic(self, proxy: Proxy, body: object) -> Response:
        toxic = make(body)
        self._lease({"lease": toxic.lease})
        if toxic.name in proxy.toxics:
            raise HttpError(409, "toxic already exists")
        await proxy.add(toxic)
        return Response(200, toxic.describe())

    def _update_toxic(self, toxic: Toxic, values: "Mapping[str, JsonValue]") -> Response:
        share = toxic_toxicity(values.get("toxicity", toxic.toxicity))
        toxic.update(toxic_attributes(values.get("attributes")))
        toxic.toxicity = share
        return Response(200, toxic.describe())

    def _proxy(self, name: str) -> Proxy:
        if name not in self.proxies:
            raise HttpError(404, "proxy not found")
        return self.proxies[name]

    def _toxic(self, proxy: str, name: str) -> Toxic:
        toxics = self._proxy(proxy).toxics
        if name not in toxics:
            raise HttpError(404, "toxic not found")
        return toxics[name]

    def _lease(self, values: "Mapping[str, JsonValue]") -> str | None:
        """The lease that a change names: it must be held, or the change would never be undone."""
        lease = values.get("lease")
        if lease is None:
            return None
        if not isinstance(lease, str) or not self.leases.known(lease):
            raise HttpError(404, f"lease not found: {lease!r}; make it first (POST /leases)")
        return lease

    async def _undo(self, lease: str) -> None:
        for proxy in tuple(self.proxies.values()):
            for toxic in tuple(proxy.toxics.values()):
                if toxic.lease == lease:
                    await proxy.remove(toxic.name)
            if not proxy.enabled and proxy.disabled_by == lease:
                await proxy.enable()


def _object(body: object) -> "Mapping[str, JsonValue]":
    if not isinstance(body, Mapping):
        raise HttpError(400, "bad request body: expected a JSON object")
    return body


def _same(proxy: Proxy, config: ProxyConfig) -> bool:
    return _same_address(config.listen, proxy.listen) and proxy.upstream == config.upstream


def _same_address(asked: str, actual: str) -> bool:
    """Whether an address is the one that a listener has; port 0 asks for any."""
    host, port = split_address(asked)
    host = {"localhost": "127.0.0.1"}.get(host, host)
    there, taken = split_address(actual)
    return host == there and port in (0, taken)
