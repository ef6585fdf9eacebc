"""A target as load sees it: where it is, and what its file permits. Every plan against a target is
made here, so that nothing on a command line can go beyond the ceilings."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from hokusai_validation.errors import NotPermitted, UsageError
from hokusai_validation.load.plan import Closed, Endpoint, Open, Origin, Plan, StopCondition, Timeouts
from hokusai_validation.permission import Gate
from hokusai_validation.resources.names import Resolver
from hokusai_validation.target import LoadPermission, Target

CONNECTIONS = 50
RAMP_UP_S = 1.0  # at most; a tenth of the run where that is shorter


@dataclass(frozen=True)
class Site:
    """A target behind its gate, and the resolver that knows its names."""

    gate: Gate
    resolver: Resolver

    @property
    def target(self) -> Target:
        """What load is sent to."""
        return self.gate.target

    @property
    def permission(self) -> LoadPermission:
        """The target's ceilings.

        Raises NotPermitted."""
        return self.gate.load()

    def origin(self, url: str | None = None) -> Origin:
        """Where to connect: the target's gateway, or one of its instances by URL.

        Raises NotPermitted for any other place, NameNotResolved, UsageError."""
        known = [self.target.url, *(each.url for each in self.target.instances)]
        url = url or self.target.url
        if url is None:
            raise UsageError(f"Target '{self.target.name}' has no gateway endpoint to put load on.")
        if url not in known:
            raise NotPermitted(f"{url} is not an endpoint or instance of target '{self.target.name}'.")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url} is not an http or https address.")
        ca_file = self.target.tls.ca_file
        return Origin(
            scheme=parts.scheme,
            host=parts.hostname,
            port=parts.port or (443 if parts.scheme == "https" else 80),
            addresses=self.resolver.addresses(parts.hostname),
            ca_file=None if ca_file is None else str(ca_file),
        )

    def plan(
        self,
        endpoints: tuple[Endpoint, ...],
        model: Open | Closed,
        *,
        url: str | None = None,
        connections: int | None = None,
        segments: int = 1,
        timeouts: Timeouts = Timeouts(),  # noqa: B008
    ) -> Plan:
        """A plan within the permission; an open run is entered over a ramp unless its schedule
        brings one. `connections` is 50, or what is permitted, unless given.

        Raises NotPermitted, UsageError, NameNotResolved."""
        permission = self.permission
        if connections is None:
            connections = min(CONNECTIONS, permission.max_connections)
        if isinstance(model, Open) and not model.schedule.ramp_up_s and model.schedule.stages[0].first > 0:
            ramp_up_s = min(RAMP_UP_S, model.schedule.duration_s / 10)
            model = Open(model.schedule.with_ramp_up(ramp_up_s))
        self._check(model, connections)
        prefix = urlsplit(url or self.target.url or "").path.rstrip("/")
        return Plan(
            origin=self.origin(url),
            endpoints=tuple(replace(each, path=prefix + each.path) for each in endpoints),
            model=model,
            connections=connections,
            timeouts=timeouts,
            stop=StopCondition(permission.stop_error_rate, permission.stop_p99_ms),
            segments=segments,
            limit_s=permission.max_duration_s + RAMP_UP_S,
            max_rate=permission.max_rate,
        )

    def _check(self, model: Open | Closed, connections: int) -> None:
        permission, name = self.permission, self.target.name
        if isinstance(model, Open):
            if model.schedule.peak > permission.max_rate:
                raise NotPermitted(
                    f"A rate of {model.schedule.peak:g}/s is more than the {permission.max_rate:g}/s that"
                    f" target '{name}' permits (permissions.load.max_rate)."
                )
            # The ramp is ours, not the asker's: it does not count against the length asked for.
            duration_s: float | None = model.schedule.duration_s - model.schedule.ramp_up_s
        else:
            duration_s = model.duration_s
        if duration_s is not None and duration_s > permission.max_duration_s:
            raise NotPermitted(
                f"A duration of {duration_s:g} s is more than the {permission.max_duration_s:g} s that"
                f" target '{name}' permits (permissions.load.max_duration_s)."
            )
        if connections > permission.max_connections:
            raise NotPermitted(
                f"{connections} connections are more than the {permission.max_connections} that"
                f" target '{name}' permits (permissions.load.max_connections)."
            )
