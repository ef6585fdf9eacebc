"""A running configuration against the declared one, and that no secret is shown."""

from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.probes import parity
from hokusai_validation.redaction import MASK
from hokusai_validation.resources.aws.models import ContainerDefinition
from hokusai_validation.target import EcsService

names = st.from_regex(r"[A-Z]{1,6}(_[A-Z]{1,6})?", fullmatch=True)
environments = st.dictionaries(names, st.text(max_size=10), max_size=5)


def container(environment: dict[str, str], secrets: dict[str, str] | None = None) -> ContainerDefinition:
    return ContainerDefinition(name="c", image="i", environment=environment, secrets=secrets or {})


@given(environments, environments)
def test_no_difference_means_all_declared_are_there(
    declared: dict[str, str], running: dict[str, str]
) -> None:
    found = parity.differences(EcsService(service="s", environment=declared), container(running))
    assert {each.name for each in found} == {
        name for name, value in declared.items() if running.get(name) != value
    }


def test_each_kind_of_difference() -> None:
    declared = EcsService(
        service="s", environment={"A": "1", "B": "2", "C": "3"}, secrets=("CLEAR", "GONE", "GOOD")
    )
    running = container({"A": "1", "B": "x", "CLEAR": "s3cret"}, {"GOOD": "arn:aws:secretsmanager:…"})
    found = parity.differences(declared, running)
    assert [(each.name, each.what) for each in found] == [
        ("B", "differs"),
        ("C", "missing"),
        ("CLEAR", "in the clear"),
        ("GONE", "not a secret"),
    ]
    assert "s3cret" not in parity.sentence("api", found)


@given(
    st.sampled_from(["DB_PASSWORD", "API_KEY", "AUTH_TOKEN", "SECRET", "PGPASSWORD"]),
    st.text(min_size=4, max_size=20),
)
def test_the_value_of_a_secret_name_is_never_shown(name: str, value: str) -> None:
    assert parity.shown(name, value) == MASK
    found = parity.differences(
        EcsService(service="s", environment={name: "declared"}), container({name: value})
    )
    assert value not in parity.sentence("api", found).replace(name, "") or value in "declared"


def test_logins_in_urls_are_not_shown() -> None:
    assert parity.shown("URI", "postgresql://mlflow:pw@db:5432/x?sslmode=require&password=pw") == (
        "postgresql://mlflow@db:5432/x"
    )
    assert parity.shown("HOOK", "https://t0ken@example.com/a") == f"https://{MASK}@example.com/a"
    assert parity.shown("MODE", "fast") == "fast"


def test_database_users_are_found_in_names_and_urls() -> None:
    environment = {
        "DATABASE_USER": "postgres",
        "DB_USERNAME": "mlflow",
        "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg2://postgres:x@db/mlflow_db",
        "USER": "root",
        "DATABASE_URL": "mysql://root@x/y",
    }
    assert parity.database_users(environment) == {
        "DATABASE_USER": "postgres",
        "DB_USERNAME": "mlflow",
        "MLFLOW_BACKEND_STORE_URI": "postgres",
    }


def test_commits() -> None:
    assert parity.commit_of({"GIT_COMMIT": "abc1234"}, "x:def5678") == "abc1234"
    assert parity.commit_of({}, "registry:5000/app:4f1c2d9ab07e") == "4f1c2d9ab07e"
    assert parity.commit_of({}, "app:latest") is None
    assert parity.same_commit("4F1C2D9", "4f1c2d9ab07e63518d2e9f0c7a6b5d4e3f2a1b0c")
    assert not parity.same_commit("4f1c2d", "4f1c2d9ab07e")
    assert not parity.same_commit("", "4f1c2d9ab07e")
    assert not parity.same_commit("aaaaaaa", "4f1c2d9ab07e")
