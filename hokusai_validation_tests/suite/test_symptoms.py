"""Error texts of real clients, and what the diagnosis is told of them."""

import pytest

from hokusai_validation.facts import FactKind
from hokusai_validation.probes.symptoms import note_symptom, symptom
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.sections import Database, SecretRef
from hokusai_validation.target import Target

TARGET = Target(name="t", database=Database(host="h", user="mlflow", password=SecretRef(env="NOT_A_SECRET")))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Connection refused", FactKind.REFUSED),
        ("[Errno 111] Connect call failed ('127.0.0.1', 5432)", FactKind.REFUSED),
        ("[Errno 104] Connect call failed ('127.0.0.1', 5432)", FactKind.RESET),
        ("ClientOSError: [Errno None] Can not write request body for http://127.0.0.1/", FactKind.RESET),
        ("MLflow is unreachable: connection refused", FactKind.REFUSED),
        ("[Errno 110] Connection timed out", FactKind.CONNECT_TIMED_OUT),
        ("connect timed out", FactKind.CONNECT_TIMED_OUT),
        (
            "HTTPConnectionPool: Max retries exceeded (Caused by ConnectTimeoutError)",
            FactKind.CONNECT_TIMED_OUT,
        ),
        ("MLflow did not answer within 2 s (timed out)", FactKind.READ_TIMED_OUT),
        ("Timeout reading from socket", FactKind.READ_TIMED_OUT),
        ("[Errno -2] Name or service not known", FactKind.NAME_NOT_RESOLVED),
        ("Temporary failure in name resolution", FactKind.NAME_NOT_RESOLVED),
        ('password authentication failed for user "mlflow"', FactKind.PASSWORD_REFUSED),
        ("WRONGPASS invalid username-password pair or user is disabled.", FactKind.PASSWORD_REFUSED),
        ('role "postgres" does not exist', FactKind.WRONG_DATABASE_USER),
        ("permission denied for table experiments", FactKind.PERMISSION_MISSING),
        ("sorry, too many clients already", FactKind.POOL_EXHAUSTED),
        ("remaining connection slots are reserved", FactKind.POOL_EXHAUSTED),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", FactKind.TLS_FAILED),
        ("connection reset by peer", FactKind.RESET),
        ("server closed the connection unexpectedly", FactKind.RESET),
        ("Server disconnected", FactKind.RESET),
        ("something else", None),
        ("", None),
    ],
)
def test_symptom(text: str, kind: FactKind | None) -> None:
    assert symptom(text) is kind


@pytest.mark.parametrize(
    ("user", "kind"), [("mlflow", FactKind.PASSWORD_REFUSED), ("postgres", FactKind.WRONG_DATABASE_USER)]
)
def test_refused_login_tells_wrong_user_from_wrong_password(user: str, kind: FactKind) -> None:
    evidence = Evidence(Target(name="stub"))
    text = f'FATAL: password authentication failed for user "{user}"'
    assert note_symptom(text, "postgres", evidence, TARGET, via="api") is kind
    assert [(fact.kind, fact.component, fact.via) for fact in evidence.facts] == [(kind, "postgres", "api")]


def test_unknown_text_adds_no_fact() -> None:
    evidence = Evidence(Target(name="stub"))
    assert note_symptom("no idea", "mlflow", evidence, TARGET) is None
    assert evidence.facts == ()
