"""Parts of the sandbox that need no stack: ports, leases, folders, certificates, the name server."""

import asyncio
import os
import shutil
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from dnslib import QTYPE, RCODE, DNSRecord

from hokusai_sandbox import certificates, folders, postgres
from hokusai_sandbox.dns_server import Zone
from hokusai_sandbox.environment import base_environment
from hokusai_sandbox.leases import Leases
from hokusai_sandbox.plan import EDGES, HOSTS, Plan, Secrets, proxy_name
from hokusai_sandbox.ports import LOOPBACK, Reservations
from hokusai_sandbox.scenarios import find
from hokusai_sandbox.target_file import SECRET_NAMES, write_secrets, write_target
from hokusai_validation.errors import PortTaken
from hokusai_validation.resources.secrets import secret
from hokusai_validation.sections import secret_refs
from hokusai_validation.target import read_target

# --- ports


def test_a_reserved_port_refuses_until_its_service_listens_and_again_after() -> None:
    with Reservations(["one"]) as reserved:
        port = reserved.ports["one"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, port), timeout=1)
        for _ in range(2):
            service = socket.socket()
            service.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            service.bind((LOOPBACK, port))
            service.listen()
            socket.create_connection((LOOPBACK, port), timeout=1).close()
            service.close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((LOOPBACK, port), timeout=1)


def test_nobody_else_gets_a_reserved_port() -> None:
    names = [str(number) for number in range(40)]
    with Reservations(names) as one, Reservations(names) as other:
        assert not set(one.ports.values()) & set(other.ports.values())
        stranger = socket.socket()
        with pytest.raises(OSError, match="in use"):
            stranger.bind((LOOPBACK, one.ports["0"]))
        stranger.close()


def test_a_wanted_port_is_taken_or_named() -> None:
    with Reservations(["any"]) as reserved:
        port = reserved.ports["any"]
        with pytest.raises(PortTaken, match=rf"Port {port} of 127\.0\.0\.1, wanted for the sandbox's redis"):
            Reservations(["redis"], {"redis": port})
    with Reservations(["redis"], {"redis": port}) as again:
        assert again.ports == {"redis": port}


# --- leases


def test_a_lease_undoes_its_faults_newest_first_when_nobody_renews_it() -> None:
    async def play() -> list[str]:
        undone: list[str] = []
        leases = Leases()
        leases.renew("a", 0.15)
        leases.add("a", "first", lambda: undone.append("first"))
        leases.add("a", "second", lambda: undone.append("second"))
        leases.add("a", "second", lambda: undone.append("never"))
        await asyncio.sleep(0.1)
        leases.renew("a", 0.15)
        await asyncio.sleep(0.1)
        assert undone == []
        assert [item["faults"] for item in leases.listed()] == [["first", "second"]]
        await asyncio.sleep(0.15)
        assert not leases.holds("a")
        return undone

    assert asyncio.run(play()) == ["second", "first"]


def test_what_was_undone_by_word_is_not_undone_again() -> None:
    async def play() -> list[str]:
        undone: list[str] = []
        leases = Leases()
        leases.renew("a", 60)
        leases.add("a", "one", lambda: undone.append("one"))
        leases.forget("one")
        assert leases.end("a")
        assert not leases.end("a")
        with pytest.raises(KeyError):
            leases.add("a", "one", lambda: None)
        return undone

    assert asyncio.run(play()) == []


@pytest.mark.parametrize("seconds", [0, -1, 601, float("nan")])
def test_a_lease_lasts_a_sensible_time(seconds: float) -> None:
    async def play() -> None:
        with pytest.raises(ValueError, match="A lease lasts"):
            Leases().renew("a", seconds)

    asyncio.run(play())


# --- folders and the environment


def test_the_cache_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOKUSAI_SANDBOX_CACHE", str(tmp_path / "cache"))
    assert stat.S_IMODE(folders.cache_folder().stat().st_mode) == 0o700


def test_without_a_home_the_cache_is_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOKUSAI_SANDBOX_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/nowhere")
    assert folders.cache_folder().name == f"hokusai-validation-cache-{os.geteuid()}"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a folder of another user, which only root can make")
def test_a_planted_cache_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "cache"
    planted.mkdir()
    os.chown(planted, 12345, 12345)
    monkeypatch.setenv("HOKUSAI_SANDBOX_CACHE", str(planted))
    with pytest.raises(PermissionError, match="belongs to uid 12345"):
        folders.cache_folder()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs PostgreSQL where it lies")
def test_programs_that_no_other_user_can_reach_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = folders.new_run_folder()
    try:
        monkeypatch.setattr(folders, "shared_cache_folder", lambda: shared)
        there = folders.runnable_by_unprivileged

        def only_copies(program: Path) -> bool:
            return shared in program.parents and there(program)

        monkeypatch.setattr(folders, "runnable_by_unprivileged", only_copies)
        for _ in range(2):  # the second time it is there already
            found = postgres.programs()
            assert shared in found.parents
            assert there(found / "postgres")
            assert there(found / "initdb")
    finally:
        shutil.rmtree(shared)


def test_children_get_nothing_of_the_callers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the caller's own")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")
    values = base_environment(Path("/tmp"))
    assert "the caller's own" not in values.values()
    assert not {"PYTHONDONTWRITEBYTECODE", "HTTP_PROXY"} & values.keys()


# --- certificates


@pytest.mark.parametrize("days", [None, 9])
def test_the_certificate_covers_the_names_for_so_many_days(days: int | None) -> None:
    made = certificates.make(days=days)
    leaf = x509.load_pem_x509_certificate(made.certificate.encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(HOSTS.values()) <= set(names.get_values_for_type(x509.DNSName))
    assert LOOPBACK in [str(item) for item in names.get_values_for_type(x509.IPAddress)]
    left = leaf.not_valid_after_utc - datetime.now(UTC)
    assert abs(left - timedelta(days=days or 90)) < timedelta(hours=1)
    ssl.create_default_context(cadata=made.authority)
    assert made.key not in repr(made)


# --- names


@pytest.fixture
def zone() -> Zone:
    found = Zone()
    found.take({"mlflow.local": ["127.0.0.1"], "api.local": ["127.0.1.1", "127.0.1.2"]})
    return found


def ask(zone: Zone, name: str, kind: str = "A") -> DNSRecord:
    answer = zone.answer(DNSRecord.question(name, kind).pack())
    assert answer is not None
    return DNSRecord.parse(answer)


def test_a_known_name_has_its_addresses(zone: Zone) -> None:
    reply = ask(zone, "API.local")
    assert [str(item.rdata) for item in reply.rr] == ["127.0.1.1", "127.0.1.2"]
    assert ask(zone, "mlflow.local", "AAAA").header.rcode == RCODE.NOERROR
    assert ask(zone, "mlflow.local", "AAAA").rr == []
    assert ask(zone, "mlflow.local").rr[0].rtype == QTYPE.A


def test_an_unknown_name_does_not_exist_and_nothing_known_is_a_failure(zone: Zone) -> None:
    assert ask(zone, "nobody.local").header.rcode == RCODE.NXDOMAIN
    assert ask(Zone(), "mlflow.local").header.rcode == RCODE.SERVFAIL


@pytest.mark.parametrize("packet", [b"", b"\x00", b"\xff" * 40, DNSRecord.question("x").reply().pack()])
def test_what_is_no_question_gets_no_answer(zone: Zone, packet: bytes) -> None:
    assert zone.answer(packet) is None


# --- the target file


def test_the_target_file_is_whole_and_names_its_secrets(tmp_path: Path) -> None:
    ports = dict.fromkeys(
        [
            "postgres",
            "redis",
            "mlflow",
            "auth",
            "api-1",
            "api-1-admin",
            "api-2",
            "api-2-admin",
            "balancer-https",
            "balancer-http",
            "links",
            "dns",
            "aws",
            "control",
        ],
        4711,
    )
    plan = Plan(
        directory=tmp_path,
        run_folder=tmp_path,
        ports=ports,
        edges=dict.fromkeys(EDGES, 4712),
        secrets=Secrets(),
    )
    (tmp_path / "ca.pem").write_text(certificates.make().authority)
    write_secrets(plan)
    target = read_target(str(write_target(plan, find(None))))
    for ref in secret_refs(target):
        if ref.env is not None:
            assert len(secret(ref, target).get_secret_value()) >= 20
    assert target.env_file == tmp_path / "secrets.env"
    assert target.redis is not None
    absent = read_target(str(write_target(plan, find("redis_absent"))))
    assert absent.redis is None
    assert all(getattr(plan.secrets, field) not in repr(plan) for field in SECRET_NAMES.values())
    assert proxy_name("api-1->mlflow") == "api-1.mlflow"
