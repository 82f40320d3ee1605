"""The measuring parts of the benchmark tell the truth: histograms, frames, scans, percentiles of flushes."""

import json
import random

import pytest
from websockets.speedups import apply_mask

from unique_cs.bench.histogram import Histogram
from unique_cs.bench.report import Row, as_json, table
from unique_cs.bench.rows import fsync_p99
from unique_cs.bench.wire import Counter, SendTable, Unframer, masked


@pytest.mark.parametrize("percent", [1, 50, 90, 99, 99.9, 100])
def test_a_percentile_is_exact_to_one_percent_and_never_flatters(percent: float) -> None:
    rng = random.Random(7)
    values = sorted(int(rng.lognormvariate(7, 2)) for _ in range(20_000))
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    true = values[max(0, -(-int(percent * len(values)) // 100) - 1)]
    assert true <= histogram.percentile(percent) <= true * 1.01 + 1


def test_merged_histograms_count_both() -> None:
    left, right = Histogram(), Histogram()
    left.record(10, 3)
    right.record(1_000_000)
    left.merge(right)
    assert (left.count, left.max) == (4, 1_000_000)
    assert left.percentile(75) == 10


def unmask(frame: bytes) -> bytes:
    start = 8 if frame[1] & 0x7F == 126 else 6
    return apply_mask(frame[start:], frame[start - 4 : start])


@pytest.mark.parametrize("text", ["short", "x" * 200, "退款" * 20])
def test_the_table_holds_lawful_sends(text: str) -> None:
    sends = SendTable(text)
    run = sends.run(8, 5_000)
    frames = [run[at : at + sends.size] for at in range(0, len(run), sends.size)]
    decoded = [json.loads(unmask(frame)) for frame in (frames[0], frames[1], frames[-1])]
    assert [frame["n"] for frame in decoded] == [9, 10, 5_000]
    assert decoded[0] == {"type": "send", "n": 9, "body": {"kind": "text", "text": text}}
    assert len(frames) == 4_992


@pytest.mark.parametrize("size", [0, 125, 126, 60_000])
def test_masked_frames_carry_their_payload(size: int) -> None:
    assert unmask(masked(b"z" * size)) == b"z" * size


@pytest.mark.parametrize("step", [1, 2, 5, 13, 14, 1000])
def test_a_mark_cut_between_two_reads_is_counted_once(step: int) -> None:
    stream = b'{"type":"sent","n":1}{"type":"error"}{"type":"sent"}' * 20
    counter = Counter(b'"type":"sent"')
    found = sum(counter.feed(stream[at : at + step]) for at in range(0, len(stream), step))
    assert found == counter.count == 40


@pytest.mark.parametrize("step", [1, 3, 70_000])
def test_a_stream_is_split_into_its_frames(step: int) -> None:
    payloads = [b"a", b"b" * 300, b"c" * 66_000]
    heads = [b"\x81\x01", b"\x81\x7e\x01\x2c", b"\x81\x7f" + (66_000).to_bytes(8, "big")]
    stream = b"".join(head + payload for head, payload in zip(heads, payloads, strict=True))
    unframer = Unframer()
    found = [frame for at in range(0, len(stream), step) for frame in unframer.feed(stream[at : at + step])]
    assert found == payloads


def test_the_p99_of_flushes_lies_within_its_bucket() -> None:
    def reading(*counts: float) -> dict[str, float]:
        edges = ("0.001", "0.01", "+Inf")
        return {
            f'unique_cs_fsync_seconds_bucket{{le="{edge}"}}': n for edge, n in zip(edges, counts, strict=True)
        }

    assert fsync_p99({}, reading(50, 100, 100)) == pytest.approx(9.82)
    assert fsync_p99(reading(50, 100, 100), reading(150, 200, 200)) == pytest.approx(0.99)
    assert fsync_p99(reading(1, 1, 1), reading(1, 1, 1)) is None


def test_the_report_marks_what_was_missed() -> None:
    rows = [Row("a", "<= 1", "2", kept=False), Row("b", "", "3", kept=None, details={"x": 1})]
    assert table(rows).splitlines()[2].split() == ["a", "<=", "1", "2", "MISSED"]
    assert json.loads(as_json(rows, {}))["rows"][1]["details"] == {"x": 1}
