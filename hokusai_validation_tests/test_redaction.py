"""No secret passes, in whatever form it comes."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hokusai_validation.redaction import MASK, Redactor


@given(st.text(min_size=4), st.text(), st.text())
def test_a_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    shown = Redactor([SecretStr(secret)]).text(before + secret + after)
    assert secret not in shown or secret in MASK or secret in before + MASK + after


@pytest.mark.parametrize("secret", ["s3cr3t/with+odd=chars", "käse-und-brot", "a b c d"])
def test_a_secret_is_masked_in_the_forms_it_travels_in(secret: str) -> None:
    redactor = Redactor([SecretStr(secret)])
    for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
        assert form not in redactor.text(f"x {form} y")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abcdef123", "abcdef123"),
        ("{'authorization': 'ApiKey abcdef123'}", "abcdef123"),
        ("X-API-Key: abcdef123", "abcdef123"),
        ("key hk_live_abcdef123 was used", "hk_live_abcdef123"),
        ("postgresql://mlflow:hunter2@db:5432/x", "hunter2"),
        ("redis://:hunter2@cache:6379", "hunter2"),
        ("connection failed: password=hunter2 host=x", "hunter2"),
    ],
)
def test_what_looks_like_a_secret_is_masked_unknown(text: str, hidden: str) -> None:
    shown = Redactor().text(text)
    assert hidden not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        "password authentication failed for user mlflow",
        "https://registry.hokus.ai/health?x=a@b",
        "401 API key required",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


def test_json_is_masked_in_keys_and_values() -> None:
    redactor = Redactor([SecretStr("canary1")])
    masked = redactor.json({"a canary1": ["x canary1", {"y": 1, "z": None}]})
    assert masked == {f"a {MASK}": [f"x {MASK}", {"y": 1, "z": None}]}
