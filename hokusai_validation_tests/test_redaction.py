"""No secret passes, in whatever form it comes."""

import ast
import base64
import html
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

import hokusai_validation
from hokusai_validation.redaction import MASK, SHORTEST, Redactor, remember, shown
from hokusai_validation.text import well_formed

SECRETS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=SHORTEST, max_size=60)


def leaks(secret: str, text: str, before: str = "", after: str = "") -> bool:
    """Whether the secret stands in a text, and not only because the mask or what stood around has it."""
    return secret in text and secret not in MASK and secret not in before + MASK + after


@given(SECRETS, st.text(), st.text())
def test_a_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    shown_text = Redactor([SecretStr(secret)]).text(before + secret + after)
    assert not leaks(secret, shown_text, well_formed(before), well_formed(after))


def repeatedly_encoded(secret: str, before: bytes, after: bytes) -> list[str]:
    data = before + secret.encode() + after
    own = -(-len(before) * 8 // 6), (len(before) + len(secret.encode())) * 8 // 6
    return [
        base64.b64encode(data).decode()[slice(*own)],
        base64.urlsafe_b64encode(data).decode()[slice(*own)],
        secret.encode().hex(),
        secret.encode().hex().upper(),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
    ]


@given(SECRETS, st.binary(max_size=9), st.binary(max_size=9))
def test_a_secret_is_masked_in_every_form_it_travels_in(secret: str, before: bytes, after: bytes) -> None:
    redactor = Redactor([SecretStr(secret)])
    texts = {
        base64.b64encode(before + secret.encode() + after).decode(),
        base64.urlsafe_b64encode(before + secret.encode() + after).decode(),
        (before + secret.encode() + after).hex(),
        quote(before + secret.encode() + after, safe=""),
        json.dumps({"said": f"Bearer {secret}!"}),
        repr((f"Bearer {secret}", f"Bearer {secret}".encode())),
    }
    for text in texts:
        hidden = redactor.text(text)
        for form in repeatedly_encoded(secret, before, after):
            assert not leaks(form, hidden) or len(form) < SHORTEST


@given(SECRETS.filter(lambda secret: len(secret) >= 8), st.integers(0, 80))
def test_a_text_is_masked_before_it_is_cut(secret: str, limit: int) -> None:
    remember(SecretStr(secret))
    text = shown(f"401: Bearer {secret} is not known, Bearer {secret} neither", limit)
    assert len(text) <= limit
    for length in range(SHORTEST, len(secret) + 1):
        assert not leaks(secret[:length], text, "401: Bearer ", " is not known, Bearer  neither")


@pytest.mark.parametrize("mark", ["...", "…", "'", '"', "\n", ""])
def test_what_others_cut_is_recognised_by_the_piece_that_is_left(mark: str) -> None:
    secret = "Zq3v-81mKx.pW07+yTbN/e2"
    redactor = Redactor([SecretStr(secret)])
    for length in range(SHORTEST, len(secret)):
        beginning = redactor.text(f"said Bearer {secret[:length]}{mark}")
        assert beginning.rstrip(mark) == f"said Bearer {MASK}"
        assert redactor.text(f"...{secret[-length:]} was said").lstrip(".") == f"{MASK} was said"


def test_no_text_is_cut_unmasked() -> None:
    """Every cut of a text that holds what somebody else said goes through `shown`."""
    package = Path(hokusai_validation.__file__).parent
    found = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
                continue
            cut = ast.unparse(node.value)
            foreign = cut.endswith((".text", ".message", ".detail")) or cut.startswith("str(")
            if foreign and node.slice.upper is not None and path.name != "redaction.py":
                found.append(f"{path.relative_to(package)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


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


@given(st.text(st.characters(exclude_categories=("C", "Z")), min_size=10, max_size=40))
def test_a_short_key_without_its_last_characters_is_masked_in_the_middle_of_a_text(secret: str) -> None:
    piece = secret[:-2]
    shown_text = Redactor([SecretStr(secret)]).text(f"said | {piece} | more")
    assert not leaks(piece, shown_text, "said | ", " | more")
