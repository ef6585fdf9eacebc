"""The load balancer: which target a request goes to, and that what is passed on stays what it was."""

import asyncio
import contextlib
import os
import socket
import ssl
import string
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_sandbox.balancer.health import seen
from hokusai_sandbox.balancer.http import BadMessage, Head, body_of, read_head
from hokusai_sandbox.balancer.routing import Group, Redirection, Table, TargetState
from hokusai_sandbox.routing_table import ActionEntry, GroupEntry, RuleEntry, TargetEntry
from hokusai_sandbox.stack import Stack
from hokusai_sandbox_tests.aids import Sandbox


def forward(group: str) -> ActionEntry:
    return {"type": "forward", "groups": [group], "status": 503}


def table(rules: list[RuleEntry], *, targets: int = 2) -> Table:
    found = Table()
    found.take(
        {
            "groups": {
                name: {
                    "name": name,
                    "health_path": "/health",
                    "targets": [{"id": f"127.0.0.{number + 1}", "port": 80} for number in range(targets)],
                }
                for name in ("api", "auth", "mlflow")
            },
            "balancers": [
                {
                    "name": "registry",
                    "hosts": ["registry.test", "api.test"],
                    "rules": rules,
                    "default": forward("api"),
                    "redirect": {"host": "#{host}", "path": "/#{path}", "status": 301},
                },
                {
                    "name": "auth",
                    "hosts": ["auth.test"],
                    "rules": [],
                    "default": forward("auth"),
                    "redirect": None,
                },
            ],
        }
    )
    return found


RULES: list[RuleEntry] = [
    {
        "conditions": {"path-pattern": ["/api/mlflow/*"], "host-header": ["api.*"]},
        "action": forward("mlflow"),
    },
    {"conditions": {"path-pattern": ["/exact", "/?ne"]}, "action": forward("auth")},
    {
        "conditions": {"path-pattern": ["/gone"]},
        "action": {"type": "fixed-response", "groups": [], "status": 404},
    },
]


@pytest.mark.parametrize(
    ("host", "path", "group"),
    [
        ("registry.test", "/health", "api"),
        ("REGISTRY.test", "/health", "api"),
        ("api.test", "/api/mlflow/x/y", "mlflow"),
        ("API.test", "/api/mlflow/", "mlflow"),
        ("registry.test", "/api/mlflow/x", "api"),
        ("api.test", "/api/mlflow", "api"),
        ("api.test", "/exact", "auth"),
        ("api.test", "/exactly", "api"),
        ("api.test", "/one", "auth"),
        ("api.test", "/EXACT", "api"),
        ("auth.test", "/exact", "auth"),
        ("127.0.0.1", "/health", "api"),
        ("", "/health", "api"),
    ],
)
def test_rules_route_by_host_and_path(host: str, path: str, group: str) -> None:
    action = table(RULES).route(host, path)
    assert action is not None
    assert action.groups == (group,)


def test_a_fixed_answer_has_no_group_and_nothing_known_routes_nowhere() -> None:
    action = table(RULES).route("api.test", "/gone")
    assert action is not None
    assert (action.groups, action.status) == ((), 404)
    assert Table().route("api.test", "/") is None


def test_targets_take_turns_and_bad_ones_are_left_out() -> None:
    group = table([]).groups["api"]
    one, two = group.targets
    one.state = two.state = "healthy"
    assert [group.next() for _ in range(4)].count(one) == 2
    one.state = "unhealthy"
    assert [group.next() for _ in range(3)] == [two, two, two]
    two.state = "unhealthy"
    assert [group.next() for _ in range(4)].count(one) == 2  # none is healthy: all are tried
    assert Group("empty", []).next() is None


def test_health_is_kept_when_the_table_changes() -> None:
    found = table([])
    found.groups["api"].targets[0].state = "healthy"
    targets: list[TargetEntry] = [{"id": "127.0.0.1", "port": 80}, {"id": "127.0.0.9", "port": 80}]
    group: GroupEntry = {"name": "api", "health_path": "/health", "targets": targets}
    found.take({"groups": {"api": group}, "balancers": []})
    assert [item.state for item in found.groups["api"].targets] == ["healthy", "initial"]


@given(st.lists(st.booleans(), max_size=40))
def test_a_target_changes_after_two_equal_checks(checks: list[bool]) -> None:
    """A model of the health checks: the first good one lets a new target in; afterwards it takes
    two in a row to change."""
    target = TargetState("g", "h", 1, "/health")
    expected, run = "initial", 0
    last: bool | None = None
    for good in checks:
        run = run + 1 if good == last else 1
        last = good
        seen(target, good, "reason", "description")
        if expected == "initial":
            expected = "healthy" if good else "initial"
        elif run >= 2:
            expected = "healthy" if good else "unhealthy"
        assert target.state == expected
        assert bool(target.reason) == (target.state != "healthy")


@pytest.mark.parametrize(
    ("redirect", "location"),
    [
        (Redirection("#{host}", "/#{path}", 301), "https://a.test:8443/x/y?q=1"),
        (Redirection("other.test", "/#{path}", 301), "https://other.test:8443/x/y?q=1"),
        (Redirection("#{host}", "/fixed", 302), "https://a.test:8443/fixed?q=1"),
    ],
)
def test_redirects_follow_what_is_registered(redirect: Redirection, location: str) -> None:
    assert redirect.location("a.test", "/x/y", "q=1", 8443) == location


# --- HTTP framing


def parsed(raw: bytes) -> Head | None:
    async def read() -> Head | None:
        reader = asyncio.StreamReader(limit=65536)
        reader.feed_data(raw)
        reader.feed_eof()
        return await read_head(reader)

    return asyncio.run(read())


def body(raw: bytes, head: Head, *, until_close: bool = False) -> bytes:
    async def read() -> bytes:
        reader = asyncio.StreamReader(limit=65536)
        reader.feed_data(raw)
        reader.feed_eof()
        return b"".join([piece async for piece in body_of(reader, head, until_close=until_close)])

    return asyncio.run(read())


def request(*headers: tuple[str, str]) -> Head:
    return Head("POST", "/", "HTTP/1.1", list(headers))


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : spaced\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        parsed(raw)


def test_a_closed_connection_is_no_message() -> None:
    assert parsed(b"") is None


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "1"), ("content-length", "2")],
        [("content-length", "-1")],
        [("content-length", "0x10")],
        [("content-length", "5"), ("transfer-encoding", "chunked")],
    ],
)
def test_ambiguous_lengths_are_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(BadMessage):
        _ = request(*headers).length


def test_headers_of_one_connection_are_not_passed_on() -> None:
    head = request(
        ("host", "x"),
        ("connection", "keep-alive, X-Private"),
        ("x-private", "1"),
        ("te", "a"),
        ("x-kept", "2"),
    )
    text = head.passed_on([("x-added", "3")]).decode()
    assert text == "POST / HTTP/1.1\r\nhost: x\r\nx-kept: 2\r\nx-added: 3\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=400), max_size=8), st.binary(max_size=50))
def test_a_chunked_body_is_passed_on_byte_by_byte_and_no_further(chunks: list[bytes], rest: bytes) -> None:
    raw = b"".join(b"%x\r\n%s\r\n" % (len(item), item) for item in chunks) + b"0\r\n\r\n"
    assert body(raw + rest, request(("transfer-encoding", "chunked"))) == raw


@given(st.binary(max_size=2000), st.binary(max_size=50))
def test_a_body_with_a_length_is_passed_on_and_no_further(content: bytes, rest: bytes) -> None:
    head = request(("content-length", str(len(content))))
    assert body(content + rest, head) == content


@pytest.mark.parametrize("raw", [b"5\r\nab", b"zz\r\nab\r\n", b"-1\r\n\r\n", b"3\r\nabc"])
def test_a_chunked_body_that_is_cut_off_or_wrong_is_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        body(raw, request(("transfer-encoding", "chunked")))


# --- the running balancer


@pytest.fixture(scope="module")
def up(sandbox: Stack) -> Sandbox:
    found = Sandbox(sandbox)
    found.control("POST", "/reset")
    found.until_healthy()
    return found


@contextlib.contextmanager
def connected(up: Sandbox) -> Iterator[ssl.SSLSocket]:
    """A TLS connection to the balancer, to speak HTTP by hand."""
    context = ssl.create_default_context(cafile=str(up.target.tls.ca_file))
    host, port = up.status["services"]["balancer"]["address"].split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="registry.hokusai.test") as secure,
    ):
        yield secure


def read_until(secure: ssl.SSLSocket, enough: bytes) -> bytes:
    got = b""
    while enough not in got:
        piece = secure.recv(65536)
        if not piece:
            break
        got += piece
    return got


@pytest.mark.sandbox
def test_one_connection_serves_many_requests_also_sent_ahead(up: Sandbox) -> None:
    one = b"GET /live HTTP/1.1\r\nHost: registry.hokusai.test\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connected(up) as secure:
        secure.sendall(one * 5 + last)
        got = b""
        while piece := secure.recv(65536):
            got += piece
    assert got.count(b"HTTP/1.1 200") == 6
    assert got.count(b'"alive":true') == 6


@pytest.mark.sandbox
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_pass_whole_in_both_directions(up: Sandbox, size: int, chunked: bool) -> None:
    content = os.urandom(size)
    path = f"balancer-test/{size}-{chunked}.bin"
    url = f"/api/mlflow/api/2.0/mlflow-artifacts/artifacts/{path}"

    def pieces() -> Iterator[bytes]:
        for start in range(0, size, 50_000):
            yield content[start : start + 50_000]

    with up.client(key=True) as client:
        put = client.put(url, content=pieces() if chunked else content, timeout=30)
        assert put.status_code == 200
        assert client.get(url, timeout=30).content == content
        client.delete(url)


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad line\r\n\r\n",
    ],
)
def test_bad_requests_get_400_and_nothing_breaks(up: Sandbox, raw: bytes) -> None:
    with connected(up) as secure:
        secure.sendall(raw)
        assert read_until(secure, b"</html>").startswith(b"HTTP/1.1 400")
    assert up.health()["status"] == "healthy"


@pytest.mark.sandbox
@given(st.text(alphabet=string.printable, max_size=200))
def test_any_text_is_answered_or_closed(up: Sandbox, text: str) -> None:
    with connected(up) as secure:
        secure.sendall(text.encode() + b"\r\n\r\n")
        answer = read_until(secure, b"\r\n\r\n")
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")


@pytest.mark.sandbox
def test_the_forwarded_headers_are_the_balancers_own(up: Sandbox) -> None:
    """What a client says of itself is replaced."""
    head = request(("x-forwarded-for", "8.8.8.8"), ("host", "x"))
    sent = head.passed_on((("x-forwarded-for", "127.0.0.1"),)).decode()
    assert sent.count("x-forwarded-for") == 1
    assert "8.8.8.8" not in sent


@pytest.mark.sandbox
def test_http_is_redirected_with_its_path_and_query(up: Sandbox) -> None:
    answer = httpx.get(
        f"{up.status['http_url']}/a/b?c=d", headers={"host": "auth.hokusai.test"}, trust_env=False
    )
    port = up.status["url"].rsplit(":", 1)[1]
    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://auth.hokusai.test:{port}/a/b?c=d"
