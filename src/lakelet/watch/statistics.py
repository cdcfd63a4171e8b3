"""Statistic sets: what is kept of many values, and the statistics read back from them."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lakelet.model.errors import LakeletError

# Bucket boundaries grow by 2 %, so a percentile is within 1 % of the true value.
# The idea is DDSketch's (Masson, Rim, Lee: VLDB 2019).
_GAMMA = 1.02
_LOG_GAMMA = math.log(_GAMMA)
_MIDDLE = 2 / (1 + _GAMMA)
_SMALLEST = 1e-9  # nearer to zero is zero

_PERCENT = r"(?:100|\d{1,2}(?:\.\d{1,10})?)"
_PERCENTILE = re.compile(rf"p({_PERCENT})")
_TRIMMED = re.compile(rf"(tm|tc|ts)({_PERCENT})")
_RANGE = re.compile(rf"(TM|TC|TS)\(({_PERCENT})?%?:({_PERCENT})?%?\)")
_RANK = re.compile(r"PR\((-?[\d.]*):(-?[\d.]*)\)")


class StatisticUnknown(LakeletError):
    """A statistic we cannot compute."""

    code = "watch.statistic"
    aws_code = "InvalidParameterValue"
    http_status = 400


@dataclass(slots=True)
class StatisticSet:
    """Count, sum, least and greatest of some values, and a sketch of how they lie.

    `buckets` maps a bucket's index to how many values fell in it; it is None once a
    set without a distribution was merged in (a user's own StatisticValues), for then
    no percentile can be told.
    """

    count: float = 0.0
    sum: float = 0.0
    min: float = math.inf
    max: float = -math.inf
    buckets: dict[int, float] | None = field(default_factory=dict)

    def add(self, value: float, times: float = 1.0) -> None:
        self.count += times
        self.sum += value * times
        if value < self.min:
            self.min = value
        if value > self.max:
            self.max = value
        if self.buckets is not None:
            index = bucket_of(value)
            self.buckets[index] = self.buckets.get(index, 0.0) + times

    def merge(self, other: "StatisticSet") -> None:
        self.count += other.count
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)
        if self.buckets is None or other.buckets is None:
            self.buckets = None
            return
        for index, times in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0.0) + times

    @classmethod
    def of(cls, values: Iterable[float]) -> "StatisticSet":
        made = cls()
        for value in values:
            made.add(value)
        return made

    @classmethod
    def summary(cls, count: float, total: float, least: float, most: float) -> "StatisticSet":
        """A set known only by its sums; the distribution is known if it is one point."""
        buckets = {bucket_of(least): count} if least == most or count == 1 else None
        return cls(count, total, least, most, buckets)


def bucket_of(value: float) -> int:
    """0 is zero; +k and -k mirror each other; k-1 centres the exponent on a large offset."""
    size = abs(value)
    if size < _SMALLEST:
        return 0
    index = math.ceil(math.log(size / _SMALLEST) / _LOG_GAMMA) + 1
    return index if value > 0 else -index


def bucket_value(index: int) -> float:
    """The value that stands for a bucket: at most 1 % from any in it."""
    if index == 0:
        return 0.0
    size: float = _SMALLEST * _GAMMA ** (abs(index) - 1) * _MIDDLE
    return size if index > 0 else -size


def statistic(values: StatisticSet, name: str) -> float | None:
    """One of CloudWatch's statistics.

    Returns:
        None where nothing was counted, or the distribution is not known.
    Raises:
        StatisticUnknown.
    """
    simple = _SIMPLE.get(name)
    if simple is None:
        return _distribution_statistic(values, name)
    return simple(values) if values.count else None


_SIMPLE = {
    "SampleCount": lambda s: s.count,
    "Sum": lambda s: s.sum,
    "Average": lambda s: s.sum / s.count,
    "Minimum": lambda s: s.min,
    "Maximum": lambda s: s.max,
}


def check_statistic(name: str) -> None:
    """Raises StatisticUnknown."""
    statistic(StatisticSet.of([1.0]), name)


def _distribution_statistic(values: StatisticSet, name: str) -> float | None:
    if found := _PERCENTILE.fullmatch(name):
        return _percentile(values, float(found[1]) / 100)
    if name == "IQM":
        return _between(values, "TM", 0.25, 0.75)
    if found := _TRIMMED.fullmatch(name):
        return _between(values, found[1].upper(), 0.0, float(found[2]) / 100)
    if found := _RANGE.fullmatch(name):
        low = float(found[2] or 0) / 100
        return _between(values, found[1], low, float(found[3] or 100) / 100)
    if found := _RANK.fullmatch(name):
        return _rank(values, float(found[1] or -math.inf), float(found[2] or math.inf))
    raise StatisticUnknown(
        f"The value {name} for parameter Statistics is not supported.",
        hint="One of SampleCount, Sum, Average, Minimum, Maximum, p99, tm90, TM(10%:90%), "
        "TC, TS, IQM, PR(:100).",
    )


def _percentile(values: StatisticSet, share: float) -> float | None:
    if not values.count or values.buckets is None:
        return None
    target = share * values.count
    seen = 0.0
    for index in sorted(values.buckets):
        seen += values.buckets[index]
        if seen >= target and seen > 0:
            return min(max(bucket_value(index), values.min), values.max)
    return values.max


def _between(values: StatisticSet, kind: str, low: float, high: float) -> float | None:
    """Mean (TM), count (TC) or sum (TS) of the values between two ranks."""
    if not values.count or values.buckets is None:
        return None
    first, last = low * values.count, high * values.count
    seen = count = total = 0.0
    for index in sorted(values.buckets):
        times = values.buckets[index]
        inside = max(0.0, min(seen + times, last) - max(seen, first))
        seen += times
        count += inside
        total += inside * min(max(bucket_value(index), values.min), values.max)
    if kind == "TC":
        return count
    if kind == "TS":
        return total
    return total / count if count else None


def _rank(values: StatisticSet, low: float, high: float) -> float | None:
    """The share of values within [low, high], in percent."""
    if not values.count or values.buckets is None:
        return None
    inside = sum(
        times
        for index, times in values.buckets.items()
        if low <= min(max(bucket_value(index), values.min), values.max) <= high
    )
    return 100 * inside / values.count


def encode_buckets(values: StatisticSet) -> bytes | None:
    """Compact: index deltas and counts as varints; b"" where one value says it all."""
    if values.buckets is None:
        return None
    if values.min == values.max:
        return b""
    out = bytearray()
    previous = 0
    for index in sorted(values.buckets):
        _put_varint(out, _zigzag(index - previous))
        _put_varint(out, max(1, round(values.buckets[index])))
        previous = index
    return bytes(out)


def decode_buckets(data: bytes | None, count: float, least: float) -> dict[int, float] | None:
    """The inverse of `encode_buckets`; `count` and `least` stand beside it in the row."""
    if data is None:
        return None
    if data == b"":
        return {bucket_of(least): count} if count else {}
    numbers = list(_varints(data))
    buckets: Mapping[int, float]
    buckets, index = {}, 0
    for delta, times in zip(numbers[::2], numbers[1::2], strict=True):
        index += (delta >> 1) ^ -(delta & 1)
        buckets[index] = float(times)
    return buckets


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _put_varint(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _varints(data: bytes) -> Iterable[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
