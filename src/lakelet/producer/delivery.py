"""How a batch is pressed through: resend what failed, and only that. No I/O, no clock.

`deliver` is a generator: it yields what to do (`Send`, `Wait`) and is sent the
reply, so the same decisions run under a thread, in a test, or under anything else.
"""

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lakelet.producer.records import Record


@dataclass(frozen=True, slots=True)
class Send:
    """Call PutRecordBatch with these records; answer with a Reply."""

    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so much time pass; answer with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """The service answered record by record."""

    failures: Mapping[int, str]  # index in the request -> "ErrorCode: message"


class Refusal(StrEnum):
    """Why a whole request failed, by what helps."""

    TRANSIENT = "transient"  # time helps: no connection, throttling, 5xx
    SETUP = "setup"  # a person helps: credentials, rights, the stream's name
    CONTENT = "content"  # nothing helps: a record of it will never be taken


@dataclass(frozen=True, slots=True)
class Refused:
    """The request failed as a whole; it may have been taken if the connection broke late."""

    refusal: Refusal
    reason: str


Reply = Answered | Refused | None
Steps = Generator[Send | Wait, Reply, "Delivery"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, and when to stop.

    Full jitter (a uniform draw from 0 to the step) is what spreads producers
    that failed together; equal steps would send them back together.
    """

    first_seconds: float = 0.1
    most_seconds: float = 20.0
    attempts_max: int = 8  # without any progress; 0 never gives up

    def wait_seconds(self, attempt: int, draw: float) -> float:
        """The pause after failed attempt 1, 2, …; `draw` is uniform in [0, 1)."""
        step = self.first_seconds * 2.0 ** min(attempt - 1, 32)
        return draw * min(self.most_seconds, step)


@dataclass(slots=True)
class Delivery:
    """What became of a batch; indices are those of the records given to `deliver`."""

    rejected: dict[int, str]  # index -> reason
    unsent: tuple[int, ...] = ()  # given up, in order
    request_count: int = 0
    resent_count: int = 0  # records
    refusal: Refusal | None = None  # of the last failure
    reason: str = ""


def deliver(
    records: Sequence[Record],
    policy: RetryPolicy,
    *,
    draw: Callable[[], float],
    gave_up: Callable[[], bool] = lambda: False,
) -> Steps:
    """Send `records` until each is acknowledged or rejected, or it is time to give up.

    A request refused for its content is halved until the record at fault stands
    alone: one bad record never takes 499 good ones along.
    """
    result = Delivery(rejected={})
    groups: deque[tuple[int, ...]] = deque([tuple(range(len(records)))] if records else [])
    attempt = 0  # since the last progress
    sent_before: set[int] = set()
    while groups:
        group = groups.popleft()
        result.request_count += 1
        result.resent_count += sum(index in sent_before for index in group)
        sent_before.update(group)
        reply = yield Send([records[index] for index in group])
        if isinstance(reply, Answered):
            failed = tuple(group[index] for index in sorted(reply.failures))
            if not failed:
                attempt = 0
                continue
            attempt = 1 if len(failed) < len(group) else attempt + 1
            result.refusal = Refusal.TRANSIENT
            result.reason = next(iter(reply.failures.values()))
            groups.appendleft(failed)
        elif isinstance(reply, Refused):
            result.refusal, result.reason = reply.refusal, reply.reason
            if reply.refusal is Refusal.CONTENT:
                attempt = 0
                _halve(group, groups, result, reply.reason)
                continue
            attempt += 1
            groups.appendleft(group)
        exhausted = policy.attempts_max and attempt >= policy.attempts_max
        if exhausted or result.refusal is Refusal.SETUP or gave_up():
            break
        yield Wait(policy.wait_seconds(attempt, draw()))
    result.unsent = tuple(sorted(index for group in groups for index in group))
    return result


def _halve(
    group: tuple[int, ...], groups: "deque[tuple[int, ...]]", result: Delivery, reason: str
) -> None:
    if len(group) == 1:
        result.rejected[group[0]] = reason
        return
    middle = len(group) // 2
    groups.extendleft((group[middle:], group[:middle]))
