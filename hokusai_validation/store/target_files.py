"""Target files that lie in a bucket: fetched when a process begins that reads them, for as long as it lives."""

import atexit
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hokusai_validation.bounds import own_account
from hokusai_validation.errors import TargetNotFound
from hokusai_validation.store import scratch
from hokusai_validation.store.record import bucket_and_prefix, is_file
from hokusai_validation.store.storage import default_options
from hokusai_validation.target import TARGETS_VARIABLE

FILES_LIMIT = 1000
FILE_LIMIT_BYTES = 1024 * 1024
# Target files, and the certificates of authorities that they name.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.(toml|pem)")


def fetch() -> None:
    """Where the environment names a bucket's folder for target files, fetch what lies there and name the copy
    instead, for this process and those that it starts.

    Raises TargetNotFound."""
    address = os.environ.get(TARGETS_VARIABLE, "")
    if is_file(address):
        return
    try:
        folder = scratch.claim("hokusai-targets-", Path(tempfile.gettempdir()))
        atexit.register(scratch.remove, folder)
        _copy(address, folder)
    except OSError as error:
        raise TargetNotFound(f"The target files of {address} could not be kept: {error.strerror}.") from None
    os.environ[TARGETS_VARIABLE] = str(folder)


def _copy(address: str, folder: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, prefix = bucket_and_prefix(address)
    client = own_account.s3(default_options())
    try:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix.lstrip("/"), Delimiter="/"
        )
        found = [
            (item["Key"], item["Size"])
            for page in pages
            for item in page.get("Contents", ())
            if _NAME.fullmatch(item["Key"].rpartition("/")[2])
        ]
        _check(address, found)
        for key, _ in found:
            body = client.get_object(Bucket=bucket, Key=key)["Body"].read(FILE_LIMIT_BYTES)
            (folder / key.rpartition("/")[2]).write_bytes(body)
    except (BotoCoreError, ClientError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        raise TargetNotFound(
            f"The target files of {address} could not be read: {code}. Check the bucket's name, its region and"
            f" the right to list and read it, or name a folder in {TARGETS_VARIABLE}."
        ) from None


def _check(address: str, found: Sequence[tuple[str, int]]) -> None:
    if not any(key.endswith(".toml") for key, _ in found):
        raise TargetNotFound(f"There is no target file (NAME.toml) in {address}; put one there.")
    if len(found) > FILES_LIMIT:
        raise TargetNotFound(f"{address} holds more than {FILES_LIMIT} target files; use several folders.")
    for key, size_bytes in found:
        if size_bytes > FILE_LIMIT_BYTES:
            raise TargetNotFound(f"{key} in {address} has {size_bytes} bytes, which no target file has.")
