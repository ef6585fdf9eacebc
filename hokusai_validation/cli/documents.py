"""The results' documents for a browser on this machine: `python -m hokusai_validation.cli.documents
FOLDER PORT`, which `ui` starts beside Dagster's UI.

Only reading, on loopback only, and only files within the folder. A page of ours may load nothing and run
the report's own script alone, whatever a target wrote into it.
"""

import shutil
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hokusai_validation.reporting.html_report import script_hash

HOST = "127.0.0.1"
INDEX = "index.html"
CONNECTION_LIMIT_S = 30.0

# Everything else is text: no reader of ours runs it.
_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".parquet": "application/octet-stream",
}
_TEXT = "text/plain; charset=utf-8"


def headers() -> Mapping[str, str]:
    """What goes with every answer."""
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script_hash()}'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }


def found(root: Path, path: str) -> Path | None:
    """The file that a request's path means, with `index.html` for a folder; None where there is none
    within the root. What begins with a dot is being written and is no document."""
    parts = [part for part in unquote(urlsplit(path).path).split("/") if part]
    if any(part.startswith(".") or "\x00" in part for part in parts):
        return None
    try:
        whole = root.resolve(strict=True)
        file = root.joinpath(*parts).resolve(strict=True)  # through `latest`, which is a link
        if file.is_dir():
            file = (file / INDEX).resolve(strict=True)
        return file if file.is_file() and file.is_relative_to(whole) else None
    except (OSError, ValueError, RuntimeError):
        return None


def server(root: Path, port: int) -> ThreadingHTTPServer:
    """A server of a folder at a port of loopback (0: any).

    Raises OSError when the port can't be had."""
    policy = headers()

    class Documents(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = CONNECTION_LIMIT_S
        server_version = "hokusai-documents"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            # Another name for loopback is a page of somebody else's that reads what is here.
            if urlsplit(f"//{self.headers.get('host', '')}").hostname not in (HOST, "localhost"):
                self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
                return
            file = found(root, self.path)
            if file is None:
                self._refuse(HTTPStatus.NOT_FOUND)
                return
            if urlsplit(self.path).path[-1:] != "/" and file.name == INDEX and not self.path.endswith(INDEX):
                # Else the page's own links would lead one folder too high.
                self.send_response(HTTPStatus.MOVED_PERMANENTLY)
                self.send_header("location", "/" + urlsplit(self.path).path.strip("/") + "/")
                self._end(0)
                return
            with file.open("rb") as content:
                self.send_response(HTTPStatus.OK)
                self.send_header("content-type", _TYPES.get(file.suffix, _TEXT))
                self._end(file.stat().st_size)
                if with_body:
                    shutil.copyfileobj(content, self.wfile)

        def _refuse(self, status: HTTPStatus) -> None:
            self.send_response(status)
            self._end(0)

        def _end(self, size: int) -> None:
            for name, value in policy.items():
                self.send_header(name, value)
            self.send_header("content-length", str(size))
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: what is read is nobody's business."""

    return ThreadingHTTPServer((HOST, port), Documents)


def main(folder: str, port: str) -> None:
    """Serve until the process is ended."""
    with server(Path(folder), int(port)) as serving:
        serving.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
