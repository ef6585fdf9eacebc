"""Keys that nobody thought of, through a suite in which everything fails and says them back: nothing that is
written has one, in the form that it has or in one that texts travel in."""

import base64
import html
import json
import random
import string
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from hokusai_validation.reporting import write
from hokusai_validation.result import Status
from hokusai_validation_tests.reporting.sample import report
from hokusai_validation_tests.suite_plugin.running import run_suite

SEED = 20260101
AT_ONCE = 20  # a key for each test of a suite process
TARGET = """
name = "stub"
[breaker]
path = "nothing:Nothing"
[keys]
good = { env = "STUB_KEY" }
"""
# The keys lie in a file that the tests read, as a service would hand them out.
FILE = """
import base64, html, json
from pathlib import Path
from urllib.parse import quote
import pytest
from pydantic import SecretStr
from hokusai_validation.catalogue import Category, entries
from hokusai_validation.facts import FactKind

KEYS = json.loads(Path(__file__).with_name("keys.json").read_text())

def said(key):
    raw = key.encode()
    return " | ".join([
        f"Authorization: Bearer {key}", repr(f"Bearer {key}"), repr(raw), json.dumps({"k": key}), html.escape(key),
        quote(key, safe=""), raw.hex(), base64.b64encode(b"user:" + raw).decode(), key[:-2], key[3:], "x" * 400 + key,
    ])

def failing(number):
    def test(self, evidence, secrets):
        key = KEYS[number]
        secrets.remember(SecretStr(key))
        print(said(key))
        evidence.record("said " + key, {"answer": said(key), key: [key]})
        evidence.fact(FactKind.UNEXPECTED_STATUS, "api", said(key))
        if number % 3 == 0:
            raise ValueError(said(key))
        if number % 3 == 1:
            raise ExceptionGroup(key, [AssertionError(said(key)), AssertionError(key)])
        assert key == said(key), said(key)
    return test

NAMES = [entry.test.partition("::")[2] for entry in entries(Category.UNIT) if entry.test.startswith("TestMLflowCircuitBreaker::")]

class TestMLflowCircuitBreaker:
    pass

for number, name in enumerate(NAMES[: len(KEYS)]):
    setattr(TestMLflowCircuitBreaker, name, failing(number))
"""


def generated(dice: random.Random) -> str:
    """A key as services make them, or with every character that may stand in one."""
    kind = dice.randrange(5)
    length = dice.randrange(8, 80)
    if kind == 0:
        return "hk_live_" + "".join(dice.choices(string.ascii_letters + string.digits, k=length))
    if kind == 1:
        return base64.b64encode(dice.randbytes(length)).decode()
    if kind == 2:
        return dice.randbytes(length).hex()
    if kind == 3:
        return "".join(dice.choices(string.ascii_letters + string.digits + string.punctuation, k=length))
    return (
        "".join(dice.choices("äßéλж漢🔑" + string.ascii_letters + string.punctuation + " ", k=length)).strip()
        + "_ä"
    )


def forms(key: str) -> dict[str, bytes]:
    """As what is written is searched for it."""
    raw = key.encode()
    return {
        "itself": raw,
        "repr": repr(key)[1:-1].encode(),
        "json": json.dumps(key)[1:-1].encode(),
        "html": html.escape(key).encode(),
        "percent": quote(key, safe="").encode(),
        "hex": raw.hex().encode(),
        "base64": base64.b64encode(b"user:" + raw)[8:-8],
    } | ({"without its end": raw[:-2]} if len(key) >= 10 else {})


def written(folder: Path) -> dict[str, bytes]:
    """Every file, and what stands in those that are compressed."""
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in folder.rglob("*.parquet"):
        found[f"{path} (read)"] = json.dumps(
            pq.read_table(path).to_pylist(), default=str, ensure_ascii=False
        ).encode()
    return found


def check(tmp_path: Path, number: int, seed: str) -> int:
    """So many keys, some in each suite; how many were searched for."""
    dice = random.Random(seed)
    done = 0
    while done < number:
        folder, out = tmp_path / f"suite-{done}", tmp_path / f"out-{done}"
        folder.mkdir()
        keys = [generated(dice) for _ in range(min(18, number - done))]
        (folder / "keys.json").write_text(json.dumps(keys), encoding="utf-8")
        ran = run_suite(folder, {"test_file.py": FILE}, "--category=unit", target=TARGET)
        judged = [row for row in ran.rows if row.status in (Status.FAILED, Status.BROKEN) and row.evidence]
        assert len({row.test for row in judged}) >= len(keys) - 1, ran.output[-2000:]
        out.mkdir()
        (out / "output.log").write_text(ran.output, encoding="utf-8")
        (out / "rows.jsonl").write_bytes((folder / "rows.jsonl").read_bytes())
        write(report().model_copy(update={"results": ran.rows}), out, run_output=ran.output)
        assert b"[redacted]" in (out / "rows.jsonl").read_bytes(), "else this would show nothing"
        for key in keys:
            for place, content in written(out).items():
                for form, value in forms(key).items():
                    assert value not in content, f"{form} of {key!r} stands in {place}"
        done += len(keys)
    return done


def test_a_sample_of_generated_keys_is_found_nowhere(tmp_path: Path) -> None:
    assert check(tmp_path, 18, f"{SEED}") == 18


@pytest.mark.soak
@pytest.mark.parametrize("block", range(10))
def test_two_thousand_generated_keys_are_found_nowhere(tmp_path: Path, block: int) -> None:
    assert check(tmp_path, 200, f"{SEED} {block}") == 200
