"""A target file: every key read, every mistake named, no secret in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.errors import SecretMissing, TargetInvalid, TargetNotFound
from hokusai_validation.resources.secrets import secret
from hokusai_validation.sections import SecretRef, secret_refs
from hokusai_validation.target import Target, read_target


def write(folder: Path, text: str, name: str = "one.toml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_name_alone_is_a_target(tmp_path: Path) -> None:
    target = read_target(write(tmp_path, 'name = "one"'))
    assert target.name == "one"
    assert target.permissions.faults == ()
    assert target.permissions.load is None
    assert target.topology["api"].critical


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "one"\nwrong = 1', "unknown key `wrong`"),
        ('name = "one"\n[gateway]\nhealth_timeout = 1', "unknown key `gateway.health_timeout`"),
        ('name = "one"\n[gateway]\nhealth_timeout_s = "soon"', "`gateway.health_timeout_s`"),
        ('description = "nameless"', "missing key `name`"),
        ('name = "No Name"', "`name`"),
        ('name = "one', "not valid TOML"),
        (
            'name = "one"\n[keys.good]\nenv = "A"\nsecret_id = "B"',
            "name one of `env`, `secret_id` and `parameter`",
        ),
        ('name = "one"\n[permissions]\nfaults = ["everything"]', "`permissions.faults.0`"),
    ],
)
def test_a_mistake_is_named_with_its_path(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(TargetInvalid, match=r"one\.toml") as error:
        read_target(write(tmp_path, text))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_target_names_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 'name = "one"')
    monkeypatch.setenv("HOKUSAI_TARGETS_DIR", str(tmp_path))
    assert read_target("one").name == "one"
    with pytest.raises(TargetNotFound, match="Known targets: one"):
        read_target("two")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe name")
    with pytest.raises(TargetInvalid, match="not valid TOML"):
        read_target(str(path))


def test_an_included_file_is_extended_and_overridden(tmp_path: Path) -> None:
    write(tmp_path, 'name = "base"\n[gateway]\nproxy_timeout_s = 3\nkey_cache_s = 5', "base.toml")
    top = write(tmp_path, 'name = "top"\ninclude = "base.toml"\n[gateway]\nkey_cache_s = 7')
    target = read_target(top)
    assert (target.name, target.gateway.proxy_timeout_s, target.gateway.key_cache_s) == ("top", 3.0, 7.0)
    assert read_target(top, follow_include=False).gateway.proxy_timeout_s == 10.0


def test_a_missing_include_says_how_to_start_the_stack(tmp_path: Path) -> None:
    with pytest.raises(TargetNotFound, match="sandbox up"):
        read_target(write(tmp_path, 'name = "one"\ninclude = "gone.toml"'))


def test_topology_of_the_file_extends_the_contracts(tmp_path: Path) -> None:
    target = read_target(write(tmp_path, 'name = "one"\n[topology.search]\ndepends_on = ["api"]'))
    assert target.topology["search"].depends_on == ("api",)
    assert "postgres" in target.topology


def test_a_secret_comes_from_the_environment_then_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets.env").write_text("# secrets\nONE_KEY=from-file=1\n")
    text = 'name = "one"\nenv_file = "secrets.env"\n[keys.good]\nenv = "ONE_KEY"'
    target = read_target(write(tmp_path, text))
    assert target.keys.good is not None
    assert secret(target.keys.good, target).get_secret_value() == "from-file=1"
    monkeypatch.setenv("ONE_KEY", "from-environment")
    assert secret(target.keys.good, target).get_secret_value() == "from-environment"
    with pytest.raises(SecretMissing, match="OTHER is missing"):
        secret(SecretRef(env="OTHER"), target)


def test_every_secret_reference_is_found(tmp_path: Path) -> None:
    text = """
    name = "one"
    [keys.good]
    env = "A"
    [database]
    host = "h"
    [database.password]
    secret_id = "B"
    """
    refs = secret_refs(read_target(write(tmp_path, text)))
    assert refs == (SecretRef(env="A"), SecretRef(secret_id="B"))


@given(st.binary(max_size=400))
def test_any_bytes_give_a_target_or_one_clear_error(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.toml"
        path.write_bytes(data)
        try:
            message = read_target(str(path)).model_dump_json()
        except TargetInvalid as error:
            message = str(error)
        assert "any.toml" in message or Target.model_validate_json(message)
