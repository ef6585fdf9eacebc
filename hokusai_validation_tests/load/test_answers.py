"""What the engine makes of answers, right and wrong, of a real server."""

import socket
import ssl
from pathlib import Path

import pytest
import trustme

from hokusai_validation.load.outcome import Outcome
from hokusai_validation.load.plan import Closed, Endpoint, Origin, Plan, Timeouts
from hokusai_validation_tests.load.conftest import execute
from hokusai_validation_tests.load.stub import Stub


def ask(stub: Stub, path: str, requests: int = 6, connections: int = 2, **options: object) -> Outcome:
    settings: dict[str, object] = {"deadline_s": 5.0}
    settings.update({key: options.pop(key) for key in ("deadline_s", "body", "method") if key in options})
    endpoint = Endpoint("it", path, **settings)  # type: ignore[arg-type]
    plan = Plan(stub.origin, (endpoint,), Closed(requests=requests), connections=connections, **options)  # type: ignore[arg-type]
    return execute(plan)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ok", 200),
        ("/count", 200),
        ("/chunked", 200),
        ("/big?bytes=3000000", 200),
        ("/close", 200),
        ("/to-the-end", 200),
        ("/continue", 200),
        ("/empty", 204),
        ("/status?code=302", 302),
    ],
)
@pytest.mark.parametrize("reuse_answers", [True, False])
def test_good_answers(stub: Stub, path: str, status: int, reuse_answers: bool) -> None:
    outcome = ask(stub, path, reuse_answers=reuse_answers)
    assert (dict(outcome.statuses), dict(outcome.errors)) == ({status: 6}, {})
    assert outcome.good_share == 1
    assert outcome.intended.count == outcome.sent.count == 6
    assert stub.seen.total() == 6


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/half", "reset"),
        ("/reset", "reset"),
        ("/garbage", "protocol"),
        ("/surplus", "protocol"),
        ("/twice", "protocol"),
        ("/endless-head", "protocol"),
        ("/big?bytes=3000000", "too_large"),
        ("/status?code=500", "status_5xx"),
        ("/status?code=429", "status_4xx"),
        ("/nowhere", "status_4xx"),
    ],
)
def test_bad_answers(stub: Stub, path: str, kind: str) -> None:
    outcome = ask(stub, path, answer_limit_bytes=1_000_000)
    assert dict(outcome.errors) == {kind: 6}
    assert outcome.good == 0
    assert outcome.requests == 6
    assert outcome.intended.count == 0
    assert stub.seen.total() == 6


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/hang", "timeout_first_byte"), ("/drip", "timeout_whole"), ("/slow?s=0.4", "timeout_first_byte")],
)
def test_time_outs_are_errors_and_latencies(stub: Stub, path: str, kind: str) -> None:
    outcome = ask(stub, path, requests=2, deadline_s=0.2)
    assert dict(outcome.errors) == {kind: 2}
    assert outcome.intended.count == 2
    assert (outcome.intended.percentile_ms(50) or 0) >= 200


def test_first_byte_has_a_limit_of_its_own(stub: Stub) -> None:
    outcome = ask(stub, "/hang", requests=2, timeouts=Timeouts(first_byte_s=0.1))
    assert dict(outcome.errors) == {"timeout_first_byte": 2}
    assert (outcome.intended.max_ms or 0) < 4000  # the deadline is 5 s


def test_an_answer_past_its_deadline_counts_even_if_no_one_had_looked(stub: Stub) -> None:
    # Later than the deadline, but before the next sweep can see it: the samples say so themselves.
    outcome = ask(stub, "/slow?s=0.012", requests=4, deadline_s=0.01)
    assert outcome.good == 0
    assert outcome.requests == 4
    assert set(outcome.errors) <= {"timeout_whole", "timeout_first_byte"}


def test_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = taken.getsockname()[1]
        plan = Plan(
            Origin("http", "127.0.0.1", port, ("127.0.0.1",)),
            (Endpoint("it", "/"),),
            Closed(requests=4),
            connections=2,
        )
        outcome = execute(plan)
    assert dict(outcome.errors) == {"refused": 4}
    assert outcome.intended.count == 0


def test_a_full_backlog_is_a_connect_time_out() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        filling = [socket.socket() for _ in range(3)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(address)
        plan = Plan(
            Origin("http", "127.0.0.1", address[1], ("127.0.0.1",)),
            (Endpoint("it", "/"),),
            Closed(requests=2),
            connections=1,
            timeouts=Timeouts(connect_s=0.2),
        )
        outcome = execute(plan)
        for each in filling:
            each.close()
    assert dict(outcome.errors) == {"timeout_connect": 2}


def test_closed_at_once_after_accepting(stub: Stub) -> None:
    stub.stalled = True
    outcome = ask(stub, "/ok", requests=3)
    assert dict(outcome.errors) == {"reset": 3}
    assert stub.connections < 20


def test_closed_while_idle_is_replaced_and_no_error(stub: Stub) -> None:
    plan = Plan(
        stub.origin, (Endpoint("it", "/then-close?s=0.02"),), Closed(requests=4, think_s=0.15), connections=1
    )
    outcome = execute(plan)
    assert dict(outcome.errors) == {}
    assert outcome.good == 4
    assert outcome.replaced == 3
    assert stub.connections == 4


def test_the_body_and_headers_go_out_as_given(stub: Stub) -> None:
    body = b"x" * 300_000
    endpoint = Endpoint("it", "/ok", method="POST", body=body, headers=(("X-Mine", "yes"),))
    outcome = execute(Plan(stub.origin, (endpoint,), Closed(requests=3), connections=1))
    assert outcome.good == 3
    assert stub.bodies == [body] * 3
    head = stub.heads[0].decode().lower()
    assert head.startswith("post /ok http/1.1\r\n")
    assert f"host: 127.0.0.1:{stub.port}\r\n" in head
    assert "x-mine: yes\r\n" in head
    assert head.count("content-length: 300000\r\n") == 1


def test_errors_are_kept_by_endpoint(stub: Stub) -> None:
    endpoints = (Endpoint("good", "/ok", weight=3), Endpoint("bad", "/status?code=503"))
    outcome = execute(Plan(stub.origin, endpoints, Closed(requests=40), connections=4))
    good, bad = outcome.endpoints["good"], outcome.endpoints["bad"]
    assert (good.requests, good.good, dict(good.errors)) == (30, 30, {})
    assert (bad.requests, bad.good, dict(bad.errors)) == (10, 0, {"status_5xx": 10})
    assert stub.seen == {"/ok": 30, "/status": 10}


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority, tmp_path / "ca.pem"


def _over_tls(authority: trustme.CA, name: str, ca_file: Path | None, host: str) -> Outcome:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    with Stub(context) as stub:
        origin = Origin("https", host, stub.port, ("127.0.0.1",), None if ca_file is None else str(ca_file))
        return execute(Plan(origin, (Endpoint("it", "/count"),), Closed(requests=4), connections=2))


def test_tls_with_a_certificate_of_the_targets_authority(authority: tuple[trustme.CA, Path]) -> None:
    outcome = _over_tls(authority[0], "api.test", authority[1], "api.test")
    assert (outcome.good, dict(outcome.errors)) == (4, {})


@pytest.mark.parametrize("case", ["unknown authority", "other name"])
def test_certificates_are_checked(authority: tuple[trustme.CA, Path], case: str) -> None:
    if case == "unknown authority":
        outcome = _over_tls(authority[0], "api.test", None, "api.test")
    else:
        outcome = _over_tls(authority[0], "other.test", authority[1], "api.test")
    assert (outcome.good, dict(outcome.errors)) == (0, {"tls": 4})


def test_a_handshake_that_never_comes_is_a_connect_time_out(stub: Stub) -> None:
    origin = Origin("https", "127.0.0.1", stub.port, ("127.0.0.1",))
    limits = Timeouts(connect_s=0.2)
    plan = Plan(origin, (Endpoint("it", "/ok"),), Closed(requests=2), connections=1, timeouts=limits)
    assert dict(execute(plan).errors) == {"timeout_connect": 2}
