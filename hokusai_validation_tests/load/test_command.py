"""`hokusai-validation load`: what it prints, and what it refuses before the first request."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hokusai_validation.cli.load import load
from hokusai_validation.errors import HokusaiError, NotPermitted, UsageError
from hokusai_validation.load.histogram import Histogram
from hokusai_validation_tests.load.stub import Stub

# On a machine that is too busy for it the generator says so; that is not what is tested here.
MEASURED = ("measured", "broken")
LOAD = "[permissions.load]\nmax_rate = 500\nmax_duration_s = 3\nmax_connections = 20\n"


@pytest.fixture
def target(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return _write(tmp_path, stub, LOAD)


def _write(folder: Path, stub: Stub, rest: str, top: str = "") -> Path:
    path = folder / "target.toml"
    path.write_text(
        f'name = "stub"\n{top}\n[endpoints]\nregistry = "http://127.0.0.1:{stub.port}"\n'
        f'[[instances]]\nname = "api-1"\nurl = "http://127.0.0.1:{stub.port}"\n{rest}'
    )
    return path


def call(target: Path, *arguments: str) -> Result:
    return CliRunner().invoke(load, [str(target), *arguments], standalone_mode=False)


def test_json(target: Path, stub: Stub) -> None:
    result = call(target, "/ok", "--rate", "200", "--duration", "0.5", "--connections", "4", "--json")
    assert result.exception is None, result.output
    values = json.loads(result.output)
    assert values["verdict"] in MEASURED
    assert (values["requests"], values["good"]) == (100, 100)
    assert values["statuses"] == {"200": 100}
    assert values["latency"]["p95_ms"] > 0
    assert values["latency"]["p99_ms"] is None
    assert Histogram.decode(values["histogram"]).count == 100
    assert stub.seen["/ok"] == 100 + values["ramp_up"]["requests"]


def test_words_for_people(target: Path) -> None:
    result = call(target, "/ok", "/status?code=503", "--weight", "3", "--weight", "1", "--duration", "0.4")
    assert "75.00% good" in result.output
    assert "status_5xx" in result.output
    assert "since due" in result.output
    assert result.return_value in (0, 3)


def test_closed_at_one_instance(target: Path) -> None:
    result = call(target, "/ok", "--model", "closed", "--duration", "0.3", "--instance", "api-1", "--json")
    assert json.loads(result.output)["model"] == "closed"


def test_a_run_that_was_stopped_ends_with_1(target: Path, stub: Stub) -> None:
    result = call(target, "/status?code=500", "--duration", "3", "--json")
    assert result.return_value == 1
    assert json.loads(result.output)["verdict"] == "stopped"
    assert stub.seen["/status"] < 500


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no endpoint to ask"),
        (("/ok", "--rate", "0"), "rate of 0/s"),
        (("/ok", "--rate", "-5"), "rate of -5/s"),
        (("/ok", "--rate", "nan"), "rate of nan/s"),
        (("/ok", "--rate", "501"), "more than the 500/s"),
        (("/ok", "--duration", "3.5"), "more than the 3 s"),
        (("/ok", "--duration", "0"), "duration of 0 s"),
        (("/ok", "--connections", "21"), "more than the 20"),
        (("/ok", "--connections", "0"), "0 connections"),
        (("/ok", "--model", "poisson"), "model 'poisson' is not known"),
        (("/ok", "--method", "FETCH"), "Method 'FETCH'"),
        (("/ok", "--body", "nowhere.json"), "body nowhere.json can't be read"),
        (("ok",), "not one of the target's"),
        (("http://elsewhere.test/ok",), "not one of the target's"),
        (("/ok", "--weight", "1", "--weight", "2"), "2 weights for 1 paths"),
        (("/ok", "--weight", "0"), "Weights"),
        (("/ok", "--instance", "api-9"), "no instance 'api-9'; it has: api-1"),
        (("/ok", "--deadline", "0"), "deadline of 0 s"),
        (("/ok", "--key"), "no good API key"),
        (("/ok", "/ok"), "same name"),
        (("/ok", "--rate", "100", "--model", "spike"), "rate of 1000/s is more"),
    ],
)
def test_refused_before_the_first_request(
    target: Path, stub: Stub, arguments: tuple[str, ...], says: str
) -> None:
    error = call(target, *arguments).exception
    assert isinstance(error, UsageError | NotPermitted), error
    assert says in str(error)
    assert str(error).count("\n") == 0
    assert stub.connections == 0


def test_never_without_permission(stub: Stub, tmp_path: Path) -> None:
    error = call(_write(tmp_path, stub, ""), "/ok").exception
    assert isinstance(error, NotPermitted)
    assert stub.connections == 0


def test_production_must_be_named_once_more(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = _write(tmp_path, stub, LOAD, "production = true")
    assert isinstance(call(path, "/ok", "--duration", "0.2").exception, NotPermitted)
    assert stub.connections == 0
    assert call(path, "/ok", "--duration", "0.2", "--rate", "50", "--confirm", "stub").exception is None


def test_a_host_that_does_not_resolve(stub: Stub, tmp_path: Path) -> None:
    path = _write(tmp_path, stub, LOAD)
    path.write_text(path.read_text().replace(f"http://127.0.0.1:{stub.port}", "http://nowhere.invalid", 1))
    error = call(path, "/ok").exception
    assert isinstance(error, HokusaiError)
    assert "nowhere.invalid" in str(error)


def test_the_key_goes_out_and_is_printed_nowhere(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUB_KEY", "hk_test_0123456789abcdef")
    path = _write(tmp_path, stub, f'{LOAD}[keys.good]\nenv = "STUB_KEY"\n')
    result = call(path, "/ok", "--duration", "0.2", "--rate", "50", "--key", "--json")
    assert result.exception is None
    assert b"Bearer hk_test_0123456789abcdef" in stub.heads[0]
    assert "hk_live" not in result.output
