"""A bucket's files by s3fs, whose time-outs say what they are."""

from collections.abc import Callable
from typing import Any

from s3fs import S3FileSystem


class BucketFiles(S3FileSystem):
    """s3fs, but that a read which ends in a time-out raises TimeoutError. It looks for an error's number where
    fsspec's time-outs have none (2026.9.0, `S3File._fetch_range`), and raised IndexError."""

    def _open(self, *arguments: Any, **options: Any) -> Any:
        opened = super()._open(*arguments, **options)
        if opened.readable():
            opened.cache.fetcher = _told(opened.cache.fetcher)
        return opened


def _told(fetch: Callable[[int, int], bytes]) -> Callable[[int, int], bytes]:
    def told(start: int, end: int) -> bytes:
        try:
            return fetch(start, end)
        except IndexError as error:
            raise TimeoutError("the bucket did not answer in time") from error

    return told
