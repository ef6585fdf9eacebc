"""A lock that machines share where they share a bucket: an object that one writer at a time may replace.

S3 decides by conditional writes (`If-None-Match`, `If-Match`), and its clock alone tells how old a
lease is. The holder renews it; when its machine dies, the lease is over `LEASE_S` seconds after the
last renewal, and the next one takes it.
"""

import contextlib
import json
import os
import socket
import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from hokusai_validation.errors import LockUnusable, TargetBusy

if TYPE_CHECKING:
    from upath import UPath

LEASE_S = 60.0
RENEW_S = 15.0
_REFUSED = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


class Leaser(BaseModel):
    """Who holds a lease. `over`: it was given back."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str
    pid: int
    what: str
    since: str
    over: bool = False


@dataclass(frozen=True)
class _Found:
    etag: str
    age_s: float
    leaser: Leaser | None


class Lease:
    """A lease on one object. `lost` is set when another took it, because it was not renewed in time."""

    def __init__(self, path: "UPath", busy: str) -> None:
        self.path = path
        self.lost = threading.Event()
        self._busy = busy
        self._over = threading.Event()
        self._etag = ""
        self._leaser: Leaser | None = None
        self._thread: threading.Thread | None = None

    def take(self, what: str) -> None:
        """Hold it from now on.

        Raises TargetBusy, with the holder in the message; LockUnusable."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._leaser = Leaser(host=socket.gethostname(), pid=os.getpid(), what=what[:200], since=since)
        etag = self._put(self._leaser, IfNoneMatch="*")
        if etag is None:
            found = self._find()
            if found is not None and (
                found.age_s > LEASE_S or (found.leaser is not None and found.leaser.over)
            ):
                etag = self._put(self._leaser, IfMatch=found.etag)
            if etag is None:
                raise TargetBusy(f"{self._busy} by {_told(found)}; wait for its end, or stop it.")
        self._etag = etag
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Give it back. May be repeated."""
        if self._thread is None or self._leaser is None:
            return
        self._over.set()
        self._thread.join()
        self._thread = None
        if not self.lost.is_set():
            with contextlib.suppress(LockUnusable):  # then it ends by itself
                self._put(self._leaser.model_copy(update={"over": True}), IfMatch=self._etag)

    def _renew(self) -> None:
        while not self._over.wait(RENEW_S):
            assert self._leaser is not None
            try:
                etag = self._put(self._leaser, IfMatch=self._etag)
            except LockUnusable:
                continue  # the bucket may be back before the lease is over
            if etag is None:
                self.lost.set()
                return
            self._etag = etag

    def _put(self, leaser: Leaser, **condition: str) -> str | None:
        """The new object's ETag, or None where the condition does not hold.

        Raises LockUnusable."""
        from botocore.exceptions import BotoCoreError

        bucket, key, _ = self.path.fs.split_path(str(self.path))
        try:
            answer = self.path.fs.call_s3(
                "put_object",
                Bucket=bucket,
                Key=key,
                Body=uuid.uuid4().hex.encode(),  # so that no two writes have one ETag
                Metadata={"leaser": json.dumps(leaser.model_dump())},
                **condition,
            )
        except (OSError, BotoCoreError) as error:
            if _code(error) in _REFUSED:
                return None
            raise LockUnusable(f"The lease {self.path} can't be written: {error}.") from None
        return str(answer["ETag"])

    def _find(self) -> _Found | None:
        from botocore.exceptions import BotoCoreError

        bucket, key, _ = self.path.fs.split_path(str(self.path))
        try:
            answer = self.path.fs.call_s3("head_object", Bucket=bucket, Key=key)
        except (OSError, BotoCoreError) as error:
            if _code(error) in _ABSENT:
                return None
            raise LockUnusable(f"The lease {self.path} can't be read: {error}.") from None
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        try:
            leaser = Leaser.model_validate_json(answer["Metadata"].get("leaser", ""))
        except ValidationError:
            leaser = None
        return _Found(str(answer["ETag"]), (now - answer["LastModified"]).total_seconds(), leaser)


def _told(found: _Found | None) -> str:
    if found is None or found.leaser is None:
        return "somebody unknown"
    of = found.leaser
    return f"process {of.pid} on {of.host} ({of.what}, since {of.since})"


def _code(error: Exception) -> str:
    """S3's own code of an error that s3fs has made an OSError of."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    return str(cause.response["Error"]["Code"]) if isinstance(cause, ClientError) else ""
