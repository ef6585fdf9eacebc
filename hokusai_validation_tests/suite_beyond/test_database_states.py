"""States of a real database, as they are read and recorded."""

import psycopg2
import pytest
from pydantic import SecretStr

from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass
from hokusai_validation.probes.store_states import database_state, milliseconds
from hokusai_validation.resources import recording
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.sections import Database as Settings
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Target
from hokusai_validation_tests.resources import servers

Seen = tuple[list[FactKind], list[ErrorClass]]


def look(database: Database) -> Seen:
    """The facts, and the classes of the states that are not as they should be."""
    evidence, recorder = Evidence(Target(name="stub")), Recorder(Places())
    with recording.recording(recorder):
        database_state(database, evidence, "postgres")
    seen = recorder.finished(passed=True)
    assert {each.dialled for each in seen} == {"postgres"}
    classes = [each.error_class for each in seen if each.operation == "state" and each.error_class]
    return [each.kind for each in evidence.facts], classes


def test_states_of_a_database() -> None:
    """Nothing of a plain one; each state by its own name, one after the other."""
    with servers.postgresql() as port:
        settings = Settings(host="127.0.0.1", port=port, password=SecretRef(env="UNUSED"))
        mine = Database(settings, SecretStr(servers.MLFLOW))
        assert look(mine) == ([], [])
        owner = psycopg2.connect(
            host="127.0.0.1", port=port, user="postgres", password=servers.SUPERUSER, dbname="mlflow_db"
        )
        owner.autocommit = True
        with owner.cursor() as cursor:
            cursor.execute("alter database mlflow_db set default_transaction_read_only = on")
            assert look(mine) == ([FactKind.READ_ONLY], [ErrorClass.READ_ONLY])
            cursor.execute("alter database mlflow_db reset default_transaction_read_only")
            cursor.execute("alter role mlflow set statement_timeout = '4ms'")
            assert look(mine) == ([FactKind.STATEMENT_TIMEOUT], [ErrorClass.STATEMENT_TIMEOUT])
            cursor.execute("alter role mlflow reset statement_timeout")
            owner.autocommit = False
            cursor.execute("lock table runs in access exclusive mode")
            assert look(mine) == ([FactKind.BLOCKED], [ErrorClass.BLOCKED])
        owner.close()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("4ms", 4.0), ("1min", 60_000.0), ("250", 250.0), ("0", 0.0), ("on", None), ("", None)],
)
def test_durations(value: str, expected: float | None) -> None:
    assert milliseconds(value) == expected
