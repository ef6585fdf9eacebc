"""Our histogram against exact percentiles and against the reference package."""

import math
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from hokusai_validation.load.histogram import HIGHEST_US, SIZE, Histogram

LATENCIES = st.lists(
    st.one_of(
        st.floats(1e-7, 1e-2), st.floats(1e-3, 10.0), st.floats(1.0, 5000.0), st.integers(0, 4096).map(float)
    ),
    min_size=1,
    max_size=300,
)


def _clipped_us(seconds: float) -> int:
    return int(np.rint(min(max(seconds * 1e6, 1), HIGHEST_US)))


@settings(max_examples=20)  # of the kind that all tests here have: the package takes 0.2 s to read one
@given(LATENCIES)
def test_the_reference_package_reads_what_we_encode(seconds: list[float]) -> None:
    ours = Histogram()
    ours.record_all(np.array(seconds))
    reference = HdrHistogram(1, HIGHEST_US, 3)
    for value in seconds:
        reference.record_value(_clipped_us(value))
    read = HdrHistogram.decode(ours.encode())
    assert read.get_total_count() == len(seconds)
    assert [
        (item.value_iterated_to, item.count_at_value_iterated_to) for item in read.get_recorded_iterator()
    ] == [
        (item.value_iterated_to, item.count_at_value_iterated_to)
        for item in reference.get_recorded_iterator()
    ]


@settings(max_examples=60)
@given(LATENCIES, st.sampled_from([1, 10, 50, 90, 95, 99, 99.9, 100]))
def test_percentiles_are_good_to_three_digits(seconds: list[float], percent: float) -> None:
    histogram = Histogram()
    histogram.record_all(np.array(seconds))
    exact = sorted(map(_clipped_us, seconds))[math.ceil(len(seconds) * percent / 100 - 1e-9) - 1] / 1000
    found = histogram.percentile_ms(percent)
    assert found is not None
    assert abs(found - exact) <= max(exact * 1e-3, 0.0011)


@settings(max_examples=40)
@given(LATENCIES)
def test_encoding_round_trips(seconds: list[float]) -> None:
    histogram = Histogram()
    histogram.record_all(np.array(seconds))
    again = Histogram.decode(histogram.encode())
    assert again.count == histogram.count
    for percent in (0, 50, 99, 100):
        first, second = histogram.percentile_ms(percent), again.percentile_ms(percent)
        assert first is not None
        assert second == pytest.approx(first, rel=2e-3, abs=0.002)
    assert again.mean_ms == pytest.approx(histogram.mean_ms, rel=2e-3, abs=0.002)
    assert again.encode() == histogram.encode()


@given(LATENCIES, LATENCIES)
@settings(max_examples=30)
def test_adding_is_recording_both(first: list[float], second: list[float]) -> None:
    merged, other, whole = Histogram(), Histogram(), Histogram()
    merged.record_all(np.array(first))
    other.record_all(np.array(second))
    merged.add(other)
    whole.record_all(np.array(first + second))
    assert merged.encode() == whole.encode()
    assert (merged.count, merged.max_ms, merged.min_ms) == (whole.count, whole.max_ms, whole.min_ms)
    assert merged.mean_ms == pytest.approx(whole.mean_ms)


def test_nothing_recorded_has_no_percentile() -> None:
    empty = Histogram()
    assert (empty.percentile_ms(50), empty.mean_ms, empty.max_ms, empty.min_ms) == (None, None, None, None)
    assert Histogram.decode(empty.encode()).count == 0
    assert HdrHistogram.decode(empty.encode()).get_total_count() == 0


def test_beyond_the_range_is_clipped_and_still_counted() -> None:
    histogram = Histogram()
    for seconds in (-1.0, 0.0, 3600.0, 1e9):
        histogram.record(seconds)
    assert histogram.count == 4
    assert histogram.max_ms == pytest.approx(3_600_000)
    assert histogram.min_ms == pytest.approx(0.001)


def test_share_within() -> None:
    histogram = Histogram()
    histogram.record_all(np.array([0.001, 0.002, 0.050, 0.200]))
    assert histogram.share_within(100.0) == 0.75
    assert Histogram().share_within(1.0) is None


@pytest.mark.parametrize("text", ["", "????", "AAAA", "HISTFAAAAAB4", "aGVsbG8gd29ybGQgaGVsbG8="])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="histogram"):
        Histogram.decode(text)


def test_a_packed_bomb_does_not_unpack() -> None:
    import base64
    import struct

    packed = zlib.compress(bytes(64 * 1024 * 1024))
    text = base64.b64encode(struct.pack(">ii", 0x1C849304 | 0x10, len(packed)) + packed).decode()
    with pytest.raises(ValueError, match="histogram"):
        Histogram.decode(text)


def test_memory_does_not_grow_with_samples() -> None:
    histogram = Histogram()
    histogram.record_all(np.full(100_000, 0.25))
    assert histogram._counts.nbytes == SIZE * 8
    assert len(histogram.encode()) < 200
