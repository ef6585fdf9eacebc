"""What a scenario may change, and how several are joined."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hokusai_validation.errors import UsageError


class ScenarioNotFound(UsageError):
    """No scenario of that name."""


@dataclass(frozen=True)
class Scenario:
    """One defect. Everything has an empty default; joined, mappings are merged and tuples added.

    `defects` are the gateway's (`NAME` or `NAME@INSTANCE`); `aws` are states of the AWS process
    (`{"state": NAME, …}`); `api`, `auth`, `mlflow` are environment variables of those services;
    `postgres` are server settings; `absent` are processes that are not started; `upstreams` lead an
    edge to another address; `changes` are made once all is up (`hokusai_sandbox/changes`)."""

    name: str
    summary: str = ""
    defects: tuple[str, ...] = ()
    aws: tuple[Mapping[str, Any], ...] = ()
    api: Mapping[str, str] = field(default_factory=dict)
    auth: Mapping[str, str] = field(default_factory=dict)
    mlflow: Mapping[str, str] = field(default_factory=dict)
    postgres: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    upstreams: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Mapping[str, Any], ...] = ()
    certificate_days: int | None = None
    redis_deployed: bool = True

    def joined(self, other: "Scenario") -> "Scenario":
        """Both defects at once."""
        values: dict[str, Any] = {}
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            match mine:
                case tuple():
                    values[item.name] = mine + theirs
                case Mapping():
                    values[item.name] = {**mine, **theirs}
        return Scenario(
            name=f"{self.name}+{other.name}",
            summary=f"{self.summary} And: {other.summary}",
            certificate_days=other.certificate_days
            if self.certificate_days is None
            else self.certificate_days,
            redis_deployed=self.redis_deployed and other.redis_deployed,
            **values,
        )


CLEAN = Scenario("clean", "Nothing is wrong.")


def names() -> Mapping[str, Scenario]:
    """Every scenario by name."""
    from hokusai_sandbox.scenarios.catalogue import SCENARIOS

    return {item.name: item for item in SCENARIOS}


def find(name: str | None) -> Scenario:
    """The scenario of a name; names joined by `+` give several defects at once.

    Raises ScenarioNotFound."""
    if not name:
        return CLEAN
    known = names()
    joined: Scenario | None = None
    for part in name.split("+"):
        found = known.get(part.strip())
        if found is None:
            raise ScenarioNotFound(
                f"There is no scenario '{part.strip()}'; known: {', '.join(sorted(known))}."
            )
        joined = found if joined is None else joined.joined(found)
    return joined or CLEAN
