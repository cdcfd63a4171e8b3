"""The sending side: events into a delivery stream, Lakelet's or AWS's own.

Needs a botocore client and, for the spool, a folder; knows nothing of the node.
"""

from lakelet.producer.delivery import RetryPolicy
from lakelet.producer.errors import (
    BufferFull,
    EventInvalid,
    FlushTimeout,
    ProducerClosed,
    ProducerError,
    RecordRejected,
    SpoolDamaged,
    SpoolFull,
    StreamRefused,
    StreamUnavailable,
)
from lakelet.producer.producer import AsyncProducer, Producer
from lakelet.producer.records import BILLING_STEP_BYTES, Encoding
from lakelet.producer.settings import Failure, Fate, ProducerSettings, ProducerStats

__all__ = [
    "BILLING_STEP_BYTES",
    "AsyncProducer",
    "BufferFull",
    "Encoding",
    "EventInvalid",
    "Failure",
    "Fate",
    "FlushTimeout",
    "Producer",
    "ProducerClosed",
    "ProducerError",
    "ProducerSettings",
    "ProducerStats",
    "RecordRejected",
    "RetryPolicy",
    "SpoolDamaged",
    "SpoolFull",
    "StreamRefused",
    "StreamUnavailable",
]
