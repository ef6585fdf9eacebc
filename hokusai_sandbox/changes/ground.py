"""What a change stands on, and what it gives back."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

from hokusai_sandbox.certificates import Certificates
from hokusai_sandbox.plan import DATABASE, DATABASE_USER, LOOPBACK, Plan
from hokusai_validation.errors import StackError, UsageError

if TYPE_CHECKING:
    import asyncpg

    from hokusai_sandbox.supervisor import Supervisor

Values = Mapping[str, JsonValue]
Undo = Callable[[], Awaitable[None]]
LIMIT_S = 15.0
# A change of the database's settings is not for who takes it back.
_OUR_OWN = {"statement_timeout": "0", "lock_timeout": "0", "default_transaction_read_only": "off"}


class ChangeInvalid(UsageError):
    """No such change, or it can't be made with these values."""


class ChangeFailed(StackError):
    """The part did not take the change."""


@dataclass(frozen=True)
class Ground:
    """The sandbox that is changed."""

    supervisor: "Supervisor"
    certificates: Certificates

    @property
    def plan(self) -> Plan:
        """Addresses and secrets."""
        return self.supervisor.plan

    async def connect(self, user: str, password: str | None = None) -> "asyncpg.Connection":
        """A login to the database, past every link.

        Raises OSError, TimeoutError, asyncpg.PostgresError."""
        import asyncpg

        known = {
            "postgres": self.plan.secrets.postgres,
            DATABASE_USER: self.plan.secrets.mlflow_database,
        }
        return await asyncpg.connect(
            host=LOOPBACK,
            port=self.plan.ports["postgres"],
            user=user,
            password=known.get(user, password),
            database=DATABASE,
            ssl=False,
            timeout=LIMIT_S,
            server_settings=_OUR_OWN,
        )


def text(values: Values, name: str, default: str | None = None) -> str:
    """A value that is text.

    Raises ChangeInvalid."""
    found = values.get(name, default)
    if not isinstance(found, str):
        raise ChangeInvalid(f"A change `{values.get('do')}` needs `{name}` as text, not {found!r}.")
    return found


def texts(values: Values, name: str) -> tuple[str, ...]:
    """A list of texts, empty when it is not given.

    Raises ChangeInvalid."""
    found = values.get(name, ())
    if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
        raise ChangeInvalid(
            f"A change `{values.get('do')}` takes `{name}` as a list of texts, not {found!r}."
        )
    return tuple(str(item) for item in found)


def table(values: Values, name: str) -> dict[str, object]:
    """A table, empty when it is not given.

    Raises ChangeInvalid."""
    found = values.get(name, {})
    if not isinstance(found, Mapping):
        raise ChangeInvalid(f"A change `{values.get('do')}` takes `{name}` as a table, not {found!r}.")
    return {str(key): value for key, value in found.items()}
