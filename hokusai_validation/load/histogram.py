"""Latencies in constant memory: an HdrHistogram of 3 significant digits from 1 µs to 1 h.

Buckets, percentiles and the encoding (V2, compressed, base64) are HdrHistogram's own, so any of
its readers can open what is kept as evidence. Samples are binned in bulk: the index of a value
is read from the bits of its floating-point form, whose exponent and first ten bits of mantissa are
the bucket and the place in it.
"""

import base64
import math
import struct
import zlib
from typing import Self

import numpy as np
from numpy.typing import NDArray

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
DIGITS = 3

_HALF_BITS = 10  # 3 digits: 2,048 places a bucket, of which the upper half is new in each
_HALF = 1 << _HALF_BITS
_EXPONENT_OFFSET = (1023 + _HALF_BITS - 1) << _HALF_BITS
_COOKIE = 0x1C849303 | 0x10
_COOKIE_COMPRESSED = 0x1C849304 | 0x10
_HEADER = struct.Struct(">iiiiqqd")
_ENVELOPE = struct.Struct(">ii")
_ENCODED_LIMIT_BYTES = 4 * 1024 * 1024


def _place(value_us: int) -> int:
    """The index of a value's bucket."""
    if value_us < _HALF:
        return value_us
    exponent = value_us.bit_length() - 1
    return ((exponent - _HALF_BITS + 1) << _HALF_BITS) + (value_us >> (exponent - _HALF_BITS)) - _HALF


SIZE = _place(HIGHEST_US) + 1


def _highest_of(place: int) -> int:
    """The highest value that falls into a bucket."""
    if place < 2 * _HALF:
        return place
    shift = (place >> _HALF_BITS) - 1
    return (((place & (_HALF - 1)) + _HALF + 1) << shift) - 1


def _middles() -> NDArray[np.float64]:
    places = np.arange(SIZE)
    shift = np.maximum((places >> _HALF_BITS) - 1, 0)
    lowest = np.where(places < 2 * _HALF, places, ((places & (_HALF - 1)) + _HALF) << shift)
    middle: NDArray[np.float64] = lowest + (np.left_shift(1, shift) >> 1).astype(np.float64)
    return middle


class Histogram:
    """Counts by latency. Values are seconds on the way in and milliseconds on the way out; below
    1 µs counts as 1 µs, above 1 h as 1 h. Sum and extremes are exact until it is encoded."""

    __slots__ = ("_counts", "_max_us", "_min_us", "_sum_us", "count")

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(SIZE, dtype=np.int64)
        self._sum_us = 0.0
        self._max_us = 0.0
        self._min_us = math.inf
        self.count = 0

    def __getstate__(self) -> tuple[NDArray[np.int64], NDArray[np.int64], float, float, float]:
        """Only what is used goes from one process to another."""
        places = np.flatnonzero(self._counts)
        return places, self._counts[places], self._sum_us, self._max_us, self._min_us

    def __setstate__(self, state: tuple[NDArray[np.int64], NDArray[np.int64], float, float, float]) -> None:
        places, counts, self._sum_us, self._max_us, self._min_us = state
        self._counts = np.zeros(SIZE, dtype=np.int64)
        self._counts[places] = counts
        self.count = int(counts.sum())

    def record(self, seconds: float) -> None:
        """One latency."""
        self.record_all(np.array([seconds]))

    def record_all(self, seconds: NDArray[np.float64]) -> None:
        """Many latencies at once."""
        if not len(seconds):
            return
        exact = np.clip(seconds * 1e6, LOWEST_US, HIGHEST_US)
        self._sum_us += float(exact.sum())
        self._max_us = max(self._max_us, float(exact.max()))
        self._min_us = min(self._min_us, float(exact.min()))
        whole = np.rint(exact)
        bits = whole.view(np.int64) >> (52 - _HALF_BITS)
        places = np.where(whole < _HALF, whole.astype(np.int64), bits - _EXPONENT_OFFSET)
        counts = np.bincount(places)
        self._counts[: len(counts)] += counts
        self.count += len(seconds)

    def add(self, other: "Histogram") -> None:
        """All samples of another one."""
        self._counts += other._counts
        self._sum_us += other._sum_us
        self._max_us = max(self._max_us, other._max_us)
        self._min_us = min(self._min_us, other._min_us)
        self.count += other.count

    def clear(self) -> None:
        """Empty again, in the same memory."""
        self._counts[:] = 0
        self._sum_us = self._max_us = 0.0
        self._min_us = math.inf
        self.count = 0

    def percentile_ms(self, percent: float) -> float | None:
        """The lowest latency that at least so many percent of the samples do not exceed (to three
        digits); None when there are no samples."""
        if not self.count:
            return None
        rank = max(1, math.ceil(self.count * percent / 100 - 1e-9))
        place = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(float(_highest_of(place)), max(self._max_us, 1.0)) / 1000

    def share_within(self, milliseconds: float) -> float | None:
        """The share of samples that do not exceed a latency; None when there are none."""
        if not self.count:
            return None
        place = _place(int(min(max(milliseconds * 1000, 0), HIGHEST_US)))
        return float(self._counts[: place + 1].sum()) / self.count

    @property
    def mean_ms(self) -> float | None:
        """None when there are no samples."""
        return self._sum_us / self.count / 1000 if self.count else None

    @property
    def max_ms(self) -> float | None:
        """None when there are no samples."""
        return self._max_us / 1000 if self.count else None

    @property
    def min_ms(self) -> float | None:
        """None when there are no samples."""
        return self._min_us / 1000 if self.count else None

    def encode(self) -> str:
        """HdrHistogram's V2 compressed encoding as base64."""
        places = np.flatnonzero(self._counts)
        payload = bytearray()
        following = 0
        for place, count in zip(places.tolist(), self._counts[places].tolist(), strict=True):
            if place > following:
                _write_number(payload, following - place)
            _write_number(payload, count)
            following = place + 1
        head = _HEADER.pack(_COOKIE, len(payload), 0, DIGITS, LOWEST_US, HIGHEST_US, 1.0)
        packed = zlib.compress(head + bytes(payload))
        return base64.b64encode(_ENVELOPE.pack(_COOKIE_COMPRESSED, len(packed)) + packed).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """The inverse of `encode`; mean and extremes are then good to three digits.

        Raises ValueError for anything but a histogram of this form and range."""
        try:
            envelope = base64.b64decode(text, validate=True)
            cookie, length = _ENVELOPE.unpack_from(envelope)
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(envelope[_ENVELOPE.size :][:length], _ENCODED_LIMIT_BYTES)
            header = _HEADER.unpack_from(body)
        except (ValueError, struct.error, zlib.error) as error:
            raise ValueError(f"This is not an encoded histogram: {error}.") from None
        if cookie != _COOKIE_COMPRESSED or header[0] != _COOKIE:
            raise ValueError("This is not a V2 compressed histogram.")
        if header[3:6] != (DIGITS, LOWEST_US, HIGHEST_US):
            raise ValueError("This histogram has another range or precision than ours.")
        histogram = cls()
        histogram._fill(body[_HEADER.size :][: header[1]])
        return histogram

    def _fill(self, payload: bytes) -> None:
        place = position = 0
        while position < len(payload):
            number, position = _read_number(payload, position)
            if number < 0:
                place -= number
                continue
            if place >= SIZE:
                raise ValueError("This histogram has counts beyond its range.")
            self._counts[place] = number
            place += 1
        used = np.flatnonzero(self._counts)
        self.count = int(self._counts.sum())
        if self.count:
            self._sum_us = float((self._counts * _middles()).sum())
            self._max_us = float(_highest_of(int(used[-1])))
            self._min_us = max(float(_middles()[used[0]]), LOWEST_US)


def _write_number(out: bytearray, number: int) -> None:
    """ZigZag LEB128, HdrHistogram's kind: a ninth byte carries eight bits."""
    value = (number << 1) ^ (number >> 63)
    for _ in range(8):
        if value < 0x80:
            out.append(value)
            return
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def _read_number(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(9):
        if position >= len(data):
            raise ValueError("This histogram is cut off.")
        byte = data[position]
        position += 1
        if index == 8 or byte < 0x80:
            value |= byte << (7 * index)
            break
        value |= (byte & 0x7F) << (7 * index)
    return (value >> 1) ^ -(value & 1), position
