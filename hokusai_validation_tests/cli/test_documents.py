"""The reports as `ui` serves them: read-only, nothing outside their folder, under a strict policy."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hokusai_validation.assets import metadata
from hokusai_validation.cli.documents import found, server


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    root = tmp_path / "reports"
    (root / "shop" / "run-1" / "data_docs").mkdir(parents=True)
    (root / "index.html").write_text("all targets", encoding="utf-8")
    (root / "shop" / "run-1" / "report.html").write_text("<p>one</p>", encoding="utf-8")
    (root / "shop" / "run-1" / "handoff.md").write_text("<script>1</script>", encoding="utf-8")
    (root / "shop" / "latest").symlink_to("run-1")
    (root / "shop" / "away").symlink_to(tmp_path)
    (root / "shop" / ".run-2-abc").mkdir()
    (root / "shop" / ".run-2-abc" / "report.html").write_text("half", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("no", encoding="utf-8")
    return root


@pytest.fixture
def port(reports: Path) -> Iterator[int]:
    with server(reports, 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving.server_address[1]
        serving.shutdown()
        thread.join()


def ask(
    port: int, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("host", host or f"127.0.0.1:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    seen = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return seen


def test_documents_are_served_with_a_policy(port: int) -> None:
    for path in ("/", "/shop/latest/report.html", "/shop/run-1/report.html"):
        status, headers, body = ask(port, path)
        assert status == 200
        assert body
        assert headers["content-type"].startswith("text/html")
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe-inline'; script" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    status, headers, body = ask(port, "/shop/latest/report.html", "HEAD")
    assert (status, body) == (200, b"")


def test_text_of_a_target_is_text(port: int) -> None:
    assert ask(port, "/shop/latest/handoff.md")[1]["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/../secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e/secret.txt",
            "/shop/away/secret.txt",
            "//etc/passwd",
        ),
        *(
            "/shop/.run-2-abc/report.html",
            "/shop",
            "/shop/run-1",
            "/nothing",
            "/%00",
            "/shop/../../secret.txt",
        ),
    ],
)
def test_nothing_else_is(port: int, path: str) -> None:
    status, _, body = ask(port, path)
    assert (status, body) == (404, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_only_reads(port: int, method: str) -> None:
    assert ask(port, "/shop/latest/report.html", method)[0] == 501


def test_a_page_of_somebody_elses_name_for_loopback_reads_nothing(port: int) -> None:
    assert ask(port, "/", host="evil.example")[0] == 421


def test_a_folder_that_is_not_there_yet_has_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "none", "/") is None


def test_metadata_link_to_what_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {"report": "/r/reports/shop/run 1/report.html", "bucket": "s3://b/reports/x.html"}
    assert metadata.links(paths, "/r/reports")["report"].value == paths["report"]
    monkeypatch.setenv(metadata.DOCUMENTS_VARIABLE, "http://127.0.0.1:3001/")
    links = metadata.links(paths, "/r/reports")
    assert links["report"].value == "http://127.0.0.1:3001/shop/run%201/report.html"
    assert links["bucket"].value == "https://console.aws.amazon.com/s3/object/b?prefix=reports/x.html"
