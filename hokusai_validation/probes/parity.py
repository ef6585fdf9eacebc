"""A running task definition against what the target file declares. Pure; a secret's value never
leaves this module."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from hokusai_validation.redaction import MASK
from hokusai_validation.resources.aws.models import ContainerDefinition
from hokusai_validation.target import EcsService

# Variables whose values are nobody's business, whatever they hold.
_SECRET_NAME = re.compile(r"(?i)pass(word|wd)?|secret|token|api_?key|private|credential|dsn")
_USER_NAME = re.compile(r"(?i)^(.*_)?(db|database|postgres|pg|postgresql)_?user(name)?$|^pguser$")
_URL = re.compile(r"^[a-z][a-z0-9+.\-]*://", re.IGNORECASE)


class Difference(BaseModel):
    """One thing that is not as declared. `expected` and `seen` are fit to be shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    what: str  # missing | differs | in the clear | not a secret
    expected: str = ""
    seen: str = ""

    def __str__(self) -> str:
        if self.what == "differs":
            return f"{self.name} is {self.seen!r}, declared {self.expected!r}"
        if self.what == "missing":
            return f"{self.name} is not set, declared {self.expected!r}"
        if self.what == "in the clear":
            return f"{self.name} stands in the clear, must come from Secrets Manager"
        return f"{self.name} is not set from Secrets Manager"


def differences(declared: EcsService, container: ContainerDefinition) -> tuple[Difference, ...]:
    """What the container's variables lack or have otherwise, in the order of the declaration.
    Variables that nobody declared are no difference."""
    found: list[Difference] = []
    for name, expected in declared.environment.items():
        if name in container.secrets:
            continue  # its value is a secret's, and not for comparing
        if name not in container.environment:
            found.append(Difference(name=name, what="missing", expected=shown(name, expected)))
        elif container.environment[name] != expected:
            seen = container.environment[name]
            found.append(
                Difference(name=name, what="differs", expected=shown(name, expected), seen=shown(name, seen))
            )
    for name in declared.secrets:
        if name in container.environment:
            found.append(Difference(name=name, what="in the clear"))
        elif name not in container.secrets:
            found.append(Difference(name=name, what="not a secret"))
    return tuple(found)


def shown(name: str, value: str) -> str:
    """A variable's value as it may be written: nothing of a secret, no login in a URL."""
    if _SECRET_NAME.search(name):
        return MASK
    if _URL.match(value):
        try:
            parts = urlsplit(value)
        except ValueError:
            return MASK
        login, at, rest = parts.netloc.rpartition("@")
        # Of a database the user is what one wants to see; elsewhere it may be a token.
        user = login.partition(":")[0] if parts.scheme.lower().startswith("postgres") else MASK
        value = parts._replace(netloc=f"{user}@{rest}" if at else rest, query="", fragment="").geturl()
    return value


def shown_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """All of a container's variables, as they may be written."""
    return {name: shown(name, value) for name, value in sorted(environment.items())}


def database_users(environment: Mapping[str, str]) -> dict[str, str]:
    """The database users that variables name: `DB_USER`, or the user of a PostgreSQL URL."""
    users: dict[str, str] = {}
    for name, value in environment.items():
        if _USER_NAME.match(name) and value:
            users[name] = value
        elif _URL.match(value) and urlsplit(value).scheme.lower().startswith("postgres"):
            user = urlsplit(value).username
            if user:
                users[name] = user
    return users


def commit_of(environment: Mapping[str, str], image: str) -> str | None:
    """The commit that a task says it was built of: a variable, else the image's tag where it looks
    like one."""
    for name in ("GIT_COMMIT", "COMMIT_SHA", "GIT_SHA"):
        if environment.get(name):
            return environment[name]
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return tag if re.fullmatch(r"[0-9a-f]{7,40}", tag) else None


def same_commit(one: str, other: str) -> bool:
    """Whether two names of a commit are the same one, either of them shortened."""
    one, other = one.lower(), other.lower()
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= 7 and longer.startswith(shorter)


def sentence(component: str, found: Iterable[Difference]) -> str:
    """All differences of a component as one clause."""
    return f"{component}: " + "; ".join(str(each) for each in found)
