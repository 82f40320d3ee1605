"""Latencies in buckets of constant relative width, as HdrHistogram keeps them."""

_SUB_BITS = 7  # 128 steps for each power of two: values are exact to 0.8 %
_SUB = 1 << _SUB_BITS


class Histogram:
    """Counts whole microseconds, in `counts` by bucket.

    A percentile is the upper edge of its bucket, so it never flatters.
    """

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.count = 0
        self.max = 0

    def record(self, microseconds: int, times: int = 1) -> None:
        """Count a value; what is below zero counts as zero."""
        value = max(0, microseconds)
        shift = max(0, value.bit_length() - _SUB_BITS - 1)
        bucket = (shift << (_SUB_BITS + 1)) + (value >> shift)
        self.counts[bucket] = self.counts.get(bucket, 0) + times
        self.count += times
        self.max = max(self.max, value)

    def merge(self, other: "Histogram") -> None:
        for bucket, times in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + times
        self.count += other.count
        self.max = max(self.max, other.max)

    def percentile(self, percent: float) -> int:
        """The value (µs) that `percent` of all values do not exceed; 0 where nothing was counted."""
        wanted = self.count * percent / 100
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(self.max, _upper_edge(bucket))
        return self.max

    def summary(self) -> dict[str, float]:
        """Percentiles in milliseconds, for the report."""
        marks = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}
        found = {name: round(self.percentile(mark) / 1000, 3) for name, mark in marks.items()}
        return found | {"max": round(self.max / 1000, 3), "samples": self.count}


def _upper_edge(bucket: int) -> int:
    shift, value = bucket >> (_SUB_BITS + 1), bucket & (2 * _SUB - 1)
    return ((value + 1) << shift) - 1
