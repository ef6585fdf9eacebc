"""Where results lie: a folder, or a bucket through fsspec (`s3://bucket/prefix`). One setting
decides for everything: `HOKUSAI_RESULTS`, by default `results` in the current folder."""

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from hokusai_validation.bounds import own_account
from hokusai_validation.errors import ReportNotWritten

if TYPE_CHECKING:
    from upath import UPath

BASE_VARIABLE = "HOKUSAI_RESULTS"
OPTIONS_VARIABLE = "HOKUSAI_RESULTS_OPTIONS"


def default_base() -> str:
    """The base that the environment names."""
    return os.environ.get(BASE_VARIABLE) or "results"


def default_options() -> dict[str, Any]:
    """fsspec's options for it, as JSON in the environment: an endpoint, a profile; no secrets.

    Raises ReportNotWritten when they are not a JSON object."""
    text = os.environ.get(OPTIONS_VARIABLE)
    if not text:
        return {}
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ReportNotWritten(
            f"{OPTIONS_VARIABLE} must be a JSON object, as in {{}}; correct it or unset it."
        )
    return values


def base_path(base: str, options: dict[str, Any]) -> "UPath":
    """The base as a path; a local one is absolute, and a bucket's requests have whole deadlines."""
    from upath import UPath

    path: UPath = UPath(base, **(own_account.files(options) if base.startswith("s3://") else options))
    return path.absolute() if is_local(path) else path


def is_local(path: "UPath") -> bool:
    """Whether it lies on this machine."""
    return path.protocol in ("", "file", "local")


def write_whole(path: "UPath", content: bytes) -> None:
    """Write a file so that a reader sees all of it or the old one, also after a kill or on a full
    disk.

    Raises ReportNotWritten."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_local(path):
            path.write_bytes(content)  # an object appears when it is complete
            return
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=str(path.parent))
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(content)
            os.chmod(name, 0o644)
            os.replace(name, str(path))
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise ReportNotWritten(
            f"{path} could not be written: {error.strerror or error}."
            " Free some space or correct the folder's permissions, then run again."
        ) from None
