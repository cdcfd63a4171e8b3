"""What may come in now: quotas, and the faults that a test asked for.

Off by default. Quotas are the service's Direct PUT ones where switched on, and stay what they are
whatever faults come and go; faults let users try how their producers handle `FailedPutCount`
and 503.
"""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

from lakelet.ingest.errors import InvalidArgument, ServiceUnavailable
from lakelet.ingest.put import Refusal

SLOW_DOWN = Refusal("ServiceUnavailableException", "Slow down.")
INJECTED = Refusal("ServiceUnavailableException", "Service is unavailable (injected fault).")


@dataclass(frozen=True, slots=True)
class Quotas:
    """A second's worth, each; 0 for no limit. A burst of one second is let through."""

    bytes_per_second: float = 0
    requests_per_second: float = 0
    records_per_second: float = 0

    def and_also(self, other: "Quotas") -> "Quotas":
        """Both at once: the tighter of each."""
        both = zip(astuple(self), astuple(other), strict=True)
        return Quotas(*(min(filter(None, pair), default=0) for pair in both))


NO_QUOTAS = Quotas()
# https://docs.aws.amazon.com/firehose/latest/dev/limits.html, the large and other regions.
LARGE_REGION = Quotas(5 * 1024 * 1024, 2_000, 500_000)
SMALL_REGION = Quotas(1 * 1024 * 1024, 1_000, 100_000)


@dataclass(frozen=True, slots=True)
class Faults:
    """What one stream does wrong on purpose."""

    fail_count: int = 0  # of the next `fail_of` records, so many fail
    fail_of: int = 0
    repeat: bool = False  # the same again, and again
    seed: int = 0  # decides which ones
    quotas: Quotas = NO_QUOTAS  # a throttle, beside the stream's own
    delivery_delay_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.fail_count <= self.fail_of:
            raise InvalidArgument(
                f"{self.fail_count} of {self.fail_of} records can't fail.",
                hint="Ask for k of n, 0 <= k <= n.",
            )
        rates = asdict(self.quotas).values()
        if not all(number >= 0 for number in (self.delivery_delay_seconds, *rates)):
            raise InvalidArgument("a delay or a rate is a number, 0 or more.")


def parse_faults(given: Mapping[str, Any]) -> Faults:
    """From JSON or TOML, such as `{"fail": [3, 10], "bytes_per_second": 1000}`.

    Keys: fail ([k, n]), repeat, seed, bytes_per_second, requests_per_second,
    records_per_second, delivery_delay_seconds.
    """
    known = {"fail", "repeat", "seed", "delivery_delay_seconds", *Quotas.__slots__}
    if unknown := sorted(set(given) - known):
        raise InvalidArgument(
            f"{', '.join(unknown)}: no such fault.", hint=f"Known: {', '.join(sorted(known))}."
        )
    try:
        count, of = (int(each) for each in given.get("fail", (0, 0)))
        return Faults(
            fail_count=count,
            fail_of=of,
            repeat=bool(given.get("repeat", False)),
            seed=int(given.get("seed", 0)),
            quotas=Quotas(*(float(given.get(name, 0)) for name in Quotas.__slots__)),
            delivery_delay_seconds=float(given.get("delivery_delay_seconds", 0)),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidArgument(
            f"the faults {dict(given)!r} can't be read: {error}.",
            hint='Such as {"fail": [3, 10], "repeat": true}.',
        ) from error


class Gate:
    """One stream's. Thread-safe; costs nothing while no quota or fault is set."""

    def __init__(self, quotas: Quotas = NO_QUOTAS) -> None:
        """`quotas`: the stream's own, for good."""
        self._lock = threading.Lock()
        self._own_quotas = quotas
        self.quotas = quotas  # in force: the faults' among them
        self.faults = Faults()
        self.is_open = quotas == NO_QUOTAS  # nothing to check
        self._doomed: set[int] = set()  # indices among the next records
        self._seen = 0
        self._round = 0
        self._tokens: dict[str, float] = {}
        self._refilled_at: float | None = None

    def set(self, faults: Faults) -> None:
        """From now on; what was set before is forgotten, but for the stream's own quotas."""
        with self._lock:
            self.faults = faults
            self.quotas = self._own_quotas.and_also(faults.quotas)
            self._round = 0
            self._tokens, self._refilled_at = {}, None
            self._draw()
            is_faultless = replace(faults, delivery_delay_seconds=0, seed=0) == Faults()
            self.is_open = is_faultless and self.quotas == NO_QUOTAS

    def refusals(self, sizes: Sequence[int], now: float) -> dict[int, Refusal]:
        """Which records of a request are refused, and why.

        Raises:
            ServiceUnavailable: the whole request is one too many.
        """
        with self._lock:
            if not self._take("requests_per_second", 1, now):
                raise ServiceUnavailable(
                    SLOW_DOWN.message, hint="Resend with back-off: a quota is set on this stream."
                )
            refused: dict[int, Refusal] = {}
            for index, size in enumerate(sizes):
                if self._is_doomed():
                    refused[index] = INJECTED
                elif not (
                    self._take("records_per_second", 1, now)
                    and self._take("bytes_per_second", size, now)
                ):
                    refused[index] = SLOW_DOWN
            return refused

    def _is_doomed(self) -> bool:
        if not self._doomed and not self.faults.repeat:
            return False
        found = self._seen in self._doomed
        self._doomed.discard(self._seen)
        self._seen += 1
        if self._seen >= self.faults.fail_of and self.faults.repeat:
            self._round += 1
            self._draw()
        return found

    def _draw(self) -> None:
        """Choose the records to fail: the same ones for the same seed."""
        chance = random.Random(self.faults.seed + self._round)  # noqa: S311 - not a secret
        self._doomed = set(chance.sample(range(self.faults.fail_of), self.faults.fail_count))
        self._seen = 0

    def _take(self, name: str, amount: float, now: float) -> bool:
        """A token bucket that holds one second's worth."""
        rate = float(getattr(self.quotas, name))
        if not rate:
            return True
        self._refill(now)
        left = self._tokens.get(name, rate)
        if left < min(amount, rate):  # what is larger than a second's worth passes when full
            return False
        self._tokens[name] = left - amount
        return True

    def _refill(self, now: float) -> None:
        passed = now - self._refilled_at if self._refilled_at is not None else 0.0
        self._refilled_at = now
        for name, left in self._tokens.items():
            rate = float(getattr(self.quotas, name))
            self._tokens[name] = min(rate, left + rate * passed)
