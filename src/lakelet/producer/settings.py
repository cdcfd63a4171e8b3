"""How a producer behaves, and what it has done so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lakelet.producer.delivery import RetryPolicy
from lakelet.producer.errors import ProducerError
from lakelet.producer.records import BILLING_STEP_BYTES, Encoding


@dataclass(frozen=True, slots=True)
class ProducerSettings:
    """Sizes are bytes, times seconds.

    Attributes:
        linger_seconds: how long a batch that is not full may wait for more events.
        buffer_bytes_max: events held in memory; at the bound `send` waits.
        block_seconds: how long `send` waits there before BufferFull; 0 raises at once.
        pack_bytes: join small events into one record of at most so many bytes.
            Firehose bills each record rounded up to 5,120: `BILLING_STEP_BYTES`
            is then the cheapest. 0 keeps one event a record.
        spool_folder: where events go while the stream cannot be reached; None
            keeps them in memory and, once `retry` gives up, reports them lost.
        spool_bytes_max: the bound of this process's spool files.
        adopt_interval_seconds: how often to look for folders of ended processes.
        close_seconds: how long closing, also at exit, may take.
    """

    linger_seconds: float = 0.1
    buffer_bytes_max: int = 16 * 1024 * 1024
    block_seconds: float = 10.0
    pack_bytes: int = 0
    encoding: Encoding = field(default_factory=Encoding)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    spool_folder: Path | str | None = None
    spool_bytes_max: int = 256 * 1024 * 1024
    adopt_interval_seconds: float = 60.0
    close_seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.pack_bytes and not self.encoding.delimiter:
            raise ValueError("pack_bytes needs a delimiter: joined events could not be told apart")


PACKED = BILLING_STEP_BYTES


class Fate(StrEnum):
    """What became of events whose batch failed."""

    SPOOLED = "spooled"  # safe on disk, sent again later
    REJECTED = "rejected"  # the service will never take them
    LOST = "lost"  # nobody holds them but this report


@dataclass(frozen=True, slots=True)
class Failure:
    """What `on_error` is told.

    Attributes:
        records: the data at stake, as it was to be sent; empty where the report
            is about something other than records.
    """

    error: ProducerError
    fate: Fate | None = None
    records: tuple[bytes, ...] = ()


OnError = Callable[[Failure], None]


@dataclass(frozen=True, slots=True)
class ProducerStats:
    """Counts of events since the producer was made, unless named otherwise.

    At rest, accepted == acknowledged + rejected + lost + spooled_now + buffered.
    """

    accepted: int = 0
    acknowledged: int = 0  # by the stream, of this producer's own events
    recovered: int = 0  # acknowledged out of folders of earlier processes
    rejected: int = 0
    lost: int = 0
    spooled: int = 0  # ever written to disk
    spooled_now: int = 0  # of those, not acknowledged yet
    buffered: int = 0  # in memory, in flight included
    spool_bytes: int = 0
    requests: int = 0
    resent_records: int = 0
