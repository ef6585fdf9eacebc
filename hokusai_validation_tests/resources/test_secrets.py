"""Secrets come from where the target says, once, and are masked from then on."""

import json
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from hokusai_validation.errors import SecretMissing, SecretUnusable
from hokusai_validation.resources.secrets import FILE_LIMIT_BYTES, Secrets, open_to_others
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Target


def target(tmp_path: Path) -> Target:
    (tmp_path / "secrets.env").write_text("# ours\nSTUB_KEY=from-the-file\n")
    return Target.model_validate(
        {"name": "t", "env_file": str(tmp_path / "secrets.env"), "keys": {"good": {"env": "STUB_KEY"}}}
    )


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = SecretRef(env="STUB_KEY")
    assert Secrets(target(tmp_path)).value(ref).get_secret_value() == "from-the-file"
    monkeypatch.setenv("STUB_KEY", "from-the-environment")
    assert Secrets(target(tmp_path)).value(ref).get_secret_value() == "from-the-environment"


def test_a_stored_secret_is_read_once_and_its_key_taken(tmp_path: Path) -> None:
    asked = []

    def read(ref: SecretRef) -> str:
        asked.append(ref.secret_id)
        return '{"username": "mlflow", "password": "stored-password"}'

    secrets = Secrets(target(tmp_path), read=read)
    ref = SecretRef(secret_id="hokusai/database", key="password")
    assert secrets.value(ref).get_secret_value() == "stored-password"
    assert secrets.value(ref).get_secret_value() == "stored-password"
    assert asked == ["hokusai/database"]
    with pytest.raises(SecretMissing, match="has no key 'nothing'"):
        secrets.value(SecretRef(secret_id="hokusai/database", key="nothing"))


def test_everything_known_is_masked_also_what_was_learnt_on_the_way(tmp_path: Path) -> None:
    secrets = Secrets(target(tmp_path), read=lambda _: '{"password": "stored-password"}')
    assert secrets.redactor.text("key from-the-file") == "key [redacted]"
    assert "stored-password" in secrets.redactor.text("login stored-password")
    secrets.value(SecretRef(secret_id="x", key="password"))
    secrets.remember(SecretStr("a-token-given-later"))
    assert secrets.redactor.text("stored-password a-token-given-later") == "[redacted] [redacted]"


def test_without_aws_a_stored_secret_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SecretMissing, match=r"has no \[aws\] section"):
        Secrets(target(tmp_path)).value(SecretRef(secret_id="x"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hk_live_abcdef\n", "ends with a blank"),
        (" hk_live_abcdef", "begins or ends"),
        ("hk_live\nabcdef", "control character"),
        ("hk_live\x00abcdef", "control character"),
        ("hk_live\u2028abcdef", "control character"),
        ("hk_live\udc80abcdef", "control character"),
        ("abcde", "fewer than 6"),
    ],
)
def test_a_secret_that_can_not_be_one_is_refused_by_its_name(tmp_path: Path, value: str, reason: str) -> None:
    def read(_: SecretRef) -> str:
        return json.dumps({"password": value})

    ref = SecretRef(secret_id="x", key="password")
    with pytest.raises(SecretUnusable, match=reason) as raised:
        Secrets(target(tmp_path), read=read).value(ref)
    assert value not in str(raised.value)
    with pytest.raises(SecretUnusable, match="resource field STUB_KEY"):
        Secrets(target(tmp_path), given={"STUB_KEY": SecretStr(value)})


def test_a_key_of_the_environment_is_checked_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_KEY", "hk_live_abcdef\n")
    with pytest.raises(SecretUnusable, match="environment variable STUB_KEY begins or ends"):
        Secrets(target(tmp_path)).value(SecretRef(env="STUB_KEY"))


@pytest.mark.parametrize("kind", ["pipe", "folder", "absent", "binary", "huge"])
def test_a_secrets_file_that_is_none_is_said_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    chosen = target(tmp_path)
    path = tmp_path / "secrets.env"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"STUB_KEY=\xff\xfe")
    elif kind == "huge":
        path.write_bytes(b"#" * (FILE_LIMIT_BYTES + 1))
    with pytest.raises(SecretMissing, match=r"secrets\.env"):
        Secrets(chosen).value(SecretRef(env="STUB_KEY"))


@pytest.mark.parametrize(("mode", "said"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_secrets_file_that_every_user_can_read_is_said(tmp_path: Path, mode: int, said: bool) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("KEY=an-example-key\n")
    file.chmod(mode)
    note = open_to_others(Target(name="t", env_file=file))
    assert (note is not None and f"chmod 600 {file}" in note) is said
