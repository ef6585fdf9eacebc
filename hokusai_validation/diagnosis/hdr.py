"""Reading latency histograms: HdrHistogram's V2 encoding, into counts by value.

Only what comparing needs: decode, merge, percentile. Written for any precision and range, so that
histograms of other tools (and of later versions of ours) can be compared too."""

import base64
import math
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

COOKIE = 0x1C849303
COOKIE_COMPRESSED = 0x1C849304
_HEADER = struct.Struct(">iiiiqqd")
_ENVELOPE = struct.Struct(">ii")
_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Binned:
    """Counts by value: `values_ms` rising, `counts` all above 0."""

    values_ms: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many samples."""
        return sum(self.counts)

    def percentile_ms(self, percent: float) -> float | None:
        """The lowest value that at least so many percent do not exceed; None without samples."""
        if not self.counts:
            return None
        rank = max(1, math.ceil(self.total * percent / 100 - 1e-9))
        return self.values_ms[bisect_left(list(accumulate(self.counts)), rank)]

    def share_over(self, limit_ms: float) -> float:
        """The share of samples above a value; 0 without samples."""
        total = self.total
        over = sum(
            count for value, count in zip(self.values_ms, self.counts, strict=True) if value > limit_ms
        )
        return over / total if total else 0.0


def merged(histograms: Iterable[Binned]) -> Binned:
    """All samples together."""
    counts: dict[float, int] = {}
    for histogram in histograms:
        for value, count in zip(histogram.values_ms, histogram.counts, strict=True):
            counts[value] = counts.get(value, 0) + count
    values = sorted(counts)
    return Binned(tuple(values), tuple(counts[value] for value in values))


def decode(text: str, unit_ms: float = 0.001) -> Binned:
    """The counts of an encoded histogram (V2, plain or compressed, base64) whose values are in
    units of `unit_ms` milliseconds (default: microseconds). A value is the highest one of its bucket.

    Raises ValueError for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
        cookie, length = _ENVELOPE.unpack_from(data)
        if cookie & ~0xF0 == COOKIE_COMPRESSED & ~0xF0:
            data = zlib.decompressobj().decompress(data[_ENVELOPE.size :][:length], _LIMIT_BYTES)
        cookie, length, offset, digits, lowest, _, _ = _HEADER.unpack_from(data)
    except (ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"This is not an encoded histogram: {error}.") from None
    if cookie & ~0xF0 != COOKIE & ~0xF0 or offset != 0 or not 1 <= digits <= 5 or lowest < 1:
        raise ValueError("This is not a V2 histogram that can be read.")
    half_bits = math.ceil(math.log2(2 * 10**digits)) - 1
    unit_bits = lowest.bit_length() - 1
    values: list[float] = []
    counts: list[int] = []
    place = 0
    for number in _numbers(data[_HEADER.size :][:length]):
        if number <= 0:
            place += -number if number else 1
            continue
        if place >> half_bits > 64:
            raise ValueError("This histogram has counts beyond any range.")
        values.append(_highest(place, half_bits, unit_bits) * unit_ms)
        counts.append(number)
        place += 1
    return Binned(tuple(values), tuple(counts))


def _highest(place: int, half_bits: int, unit_bits: int) -> int:
    """The highest value of a bucket."""
    half = 1 << half_bits
    if place < 2 * half:
        return ((place + 1) << unit_bits) - 1 if unit_bits else place
    shift = (place >> half_bits) - 1
    return (((place & (half - 1)) + half + 1) << (shift + unit_bits)) - 1


def _numbers(data: bytes) -> Iterable[int]:
    """ZigZag LEB128 whose ninth byte carries eight bits."""
    position = 0
    while position < len(data):
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
        yield (value >> 1) ^ -(value & 1)
