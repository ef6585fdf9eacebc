"""The whole stack as it is started for everybody: what is up, what is registered, what stands between."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from hokusai_sandbox.plan import EDGES, INSTANCES
from hokusai_sandbox.ports import Reservations
from hokusai_sandbox.scenarios.model import ScenarioNotFound
from hokusai_sandbox.stack import Stack
from hokusai_sandbox_tests.aids import Sandbox, eventually
from hokusai_validation.errors import PortTaken, StackDidNotStart, UsageError
from hokusai_validation.target import Target

pytestmark = pytest.mark.sandbox

PROCESSES = {"postgres", "redis", "mlflow", "auth", "api-1", "api-2", "balancer", "links", "dns", "aws"}


@pytest.fixture(scope="module")
def up(sandbox: Stack) -> Sandbox:
    """The session's stack, healthy: other tests may have put faults on it."""
    found = Sandbox(sandbox)
    found.control("POST", "/reset")
    found.until_healthy()
    return found


def test_every_service_is_up_with_address_and_pid(up: Sandbox) -> None:
    status = up.stack.status()
    assert set(status["services"]) == PROCESSES
    for name, item in status["services"].items():
        assert item["state"] == "running", name
        assert item["pid"] > 0
        assert item["address"].startswith("127.0.0.1:")
    assert status["url"].startswith("https://127.0.0.1:")


def test_the_target_file_names_every_part(up: Sandbox) -> None:
    target: Target = up.target
    for part in ("auth", "database", "mlflow", "redis", "aws", "breaker", "links", "control"):
        assert getattr(target, part) is not None, part
    assert {instance.name for instance in target.instances} == set(INSTANCES)
    assert target.links is not None
    assert set(target.links.edges) == set(EDGES)
    assert all(value == edge.replace("->", ".") for edge, value in target.links.edges.items())
    assert target.permissions.faults
    assert target.permissions.load is not None


def test_secrets_are_for_the_owner_alone_and_on_no_command_line(up: Sandbox) -> None:
    path = up.stack.directory / "secrets.env"
    assert path.stat().st_mode & 0o777 == 0o600
    values = [line.split("=", 1)[1] for line in path.read_text().splitlines()]
    assert all(len(value) >= 20 for value in values)
    pids = [item["pid"] for item in up.stack.status()["services"].values()]
    for pid in pids:
        line = Path(f"/proc/{pid}/cmdline").read_text()
        assert not [value for value in values if value in line]
    for file in [*up.stack.directory.glob("*.toml"), *up.stack.directory.glob("*.json")]:
        text = file.read_text()
        assert not [value for value in values if value in text], file


def test_no_log_holds_a_secret(up: Sandbox) -> None:
    with up.client(key=True) as client:
        client.get("/api/mlflow/health")
    path = up.stack.directory / "secrets.env"
    values = [line.split("=", 1)[1] for line in path.read_text().splitlines()]
    for log in (up.stack.directory / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [value for value in values if value in text], log


def test_nothing_listens_beyond_loopback(up: Sandbox) -> None:
    import psutil

    supervisor = psutil.Process(up.status["supervisor"]["pid"])
    for process in [supervisor, *supervisor.children(recursive=True)]:
        for connection in process.net_connections():
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip.startswith("127."), (process.cmdline(), connection)


def test_the_api_answers_through_the_balancer_over_tls(up: Sandbox) -> None:
    up.until_healthy()
    for host in ("api.hokusai.test", "auth.hokusai.test", "anything.example"):
        with up.client(host) as client:
            assert client.get("/health").status_code == 200, host


def test_both_instances_answer_in_turn(up: Sandbox) -> None:
    def look() -> bool:
        with up.client() as client:
            return {client.get("/live").headers["x-instance"] for _ in range(6)} == set(INSTANCES)

    eventually(look, what="both instances in the balancer's rotation")
    for instance in up.target.instances:
        answer = httpx.get(f"{instance.url}/live", trust_env=False)
        assert answer.headers["x-instance"] == instance.name


def test_http_is_redirected(up: Sandbox) -> None:
    answer = httpx.get(
        f"{up.status['http_url']}/ready?x=1", headers={"host": "registry.hokusai.test"}, trust_env=False
    )
    port = up.status["url"].rsplit(":", 1)[1]
    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://registry.hokusai.test:{port}/ready?x=1"


@pytest.mark.parametrize("edge", sorted(EDGES))
def test_each_edge_really_goes_through_its_link(up: Sandbox, edge: str) -> None:
    """The link has passed bytes both ways: whatever is on that edge is in the path."""
    links = httpx.Client(base_url=f"http://{up.status['services']['links']['address']}", trust_env=False)
    with links, up.client(key=True) as client:
        name = edge.replace("->", ".")
        before = links.get(f"/proxies/{name}").json()["counters"]

        def look() -> bool:
            for _ in range(2):
                client.get("/health?detailed=true")
                client.post("/api/mlflow/api/2.0/mlflow/experiments/search", json={"max_results": 1})
            with up.client("auth.hokusai.test") as auth:
                auth.get("/health")
            _ask_each_instance_without_cache(up)
            if edge == "mlflow->artifacts":
                client.get("/api/mlflow/api/2.0/mlflow-artifacts/artifacts", params={"path": "nothing"})
            now = links.get(f"/proxies/{name}").json()["counters"]
            return bool(now["bytes_up"] > before["bytes_up"] and now["bytes_down"] > before["bytes_down"])

        eventually(look, what=f"bytes on {edge}")


def _ask_each_instance_without_cache(up: Sandbox) -> None:
    """A key that is not known is never cached: the auth service is asked."""
    for instance in up.target.instances:
        httpx.get(
            f"{instance.url}/api/mlflow/health",
            headers={"authorization": "Bearer hk_test_0123456789abcdef0123456789abcdef"},
            trust_env=False,
        )


def test_a_model_goes_through_the_gateway_to_the_bucket_and_back(up: Sandbox) -> None:
    base = "/api/mlflow/api/2.0/mlflow"
    with up.client(key=True) as client:
        made = client.post(f"{base}/experiments/create", json={"name": f"sandbox-test-{os.getpid()}"})
        experiment = made.json()["experiment_id"]
        run = client.post(f"{base}/runs/create", json={"experiment_id": experiment}).json()["run"]
        path = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/").lstrip("/")
        url = f"/api/mlflow/api/2.0/mlflow-artifacts/artifacts/{path}/model.bin"
        content = os.urandom(300_000)
        assert client.put(url, content=content).status_code == 200
        assert client.get(url).content == content
        assert client.delete(url).status_code == 200
        client.post(f"{base}/experiments/delete", json={"experiment_id": experiment})


@pytest.mark.parametrize(
    ("name", "limit_s"), [("redis", 2), ("links", 2), ("api-2", 5), ("balancer", 3), ("auth", 5)]
)
def test_what_was_killed_is_started_again(up: Sandbox, name: str, limit_s: float) -> None:
    import signal

    import psutil

    before = up.process(name)
    psutil.Process(before["pid"]).send_signal(signal.SIGKILL)
    after = up.until_back(name, before["pid"])
    assert after["restarts"] == before["restarts"] + 1
    assert after["address"] == before["address"]
    up.until_healthy()


@pytest.mark.soak
def test_random_kills_of_anything_always_end_healthy(up: Sandbox) -> None:
    """Several at once, again and again, in an order that a fixed seed decides."""
    import random
    import signal

    import psutil

    chosen = random.Random(20250805)
    for _ in range(20):
        names = chosen.sample(sorted(PROCESSES), k=chosen.randint(1, 4))
        for name in names:
            pid = up.process(name)["pid"]
            if pid is not None:
                psutil.Process(pid).send_signal(signal.SIGKILL)
        up.until_healthy()
    assert {item["state"] for item in up.stack.status()["services"].values()} == {"running"}


def test_postgres_comes_back_with_its_data_after_a_kill(up: Sandbox) -> None:
    before = up.process("postgres")
    up.control("POST", "/processes/postgres/kill", {})
    up.until_back("postgres", before["pid"])
    up.until_healthy()
    with up.client(key=True) as client:

        def look() -> bool:
            found = client.post("/api/mlflow/api/2.0/mlflow/experiments/search", json={"max_results": 1})
            return found.status_code == 200 and bool(found.json()["experiments"])

        eventually(look, what="the default experiment found")


def test_a_second_sandbox_in_the_same_folder_is_refused(up: Sandbox) -> None:
    with pytest.raises(StackDidNotStart, match="already up in"):
        Stack.start(up.stack.directory, only=["redis"])


def test_the_status_command_prints_one_json_document(up: Sandbox) -> None:
    done = subprocess.run(
        [
            sys.executable,
            *("-c", "from hokusai_validation.cli import main; main()"),
            *("sandbox", "status", "--json", "--dir", str(up.stack.directory)),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["url"] == up.status["url"]
    assert set(found["services"]) == PROCESSES


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with Reservations(["somebody"]) as taken:
        port = taken.ports["somebody"]
        with pytest.raises(PortTaken, match=f"Port {port} of 127.0.0.1, wanted for the sandbox's redis"):
            Stack.start(tmp_path, only=["redis"], ports={"redis": port})
    assert Stack(tmp_path).status()["up"] is False


def test_a_service_that_does_not_come_up_is_named_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "programs"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'hokusai_validation.links' in sys.orig_argv:\n"
        "    raise SystemExit('links: broken on purpose')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(broken))
    with pytest.raises(StackDidNotStart) as failed:
        Stack.start(tmp_path / "sandbox", only=["redis", "links"])
    message = str(failed.value)
    assert Stack(tmp_path / "sandbox").status()["up"] is False
    assert "The sandbox's links ended before it was ready: " in message
    assert "links: broken on purpose" in message
    assert "links.log" in message


def test_a_supervisor_that_ends_at_once_is_named_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'hokusai_sandbox' in sys.orig_argv: raise SystemExit('broken on purpose')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(StackDidNotStart, match=r"supervisor ended .*broken on purpose"):
        Stack.start(tmp_path / "sandbox", only=["redis"])


def test_an_unknown_scenario_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(ScenarioNotFound, match="no scenario 'nonsense'"):
        Stack.start(tmp_path, "nonsense")


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be used"):
        Stack.start(tmp_path / "file" / "below")
