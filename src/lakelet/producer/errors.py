"""What a producer can refuse or report."""

from lakelet.model.errors import LakeletError, Outcome


class ProducerError(LakeletError):
    """The base of what the sending side raises."""

    code = "producer.error"


class EventInvalid(ProducerError):
    """An event that cannot become a record: not JSON, or larger than Firehose takes."""

    code = "producer.event_invalid"
    aws_code = "InvalidArgumentException"
    http_status = 400


class BufferFull(ProducerError):
    """Events come faster than the stream takes them, for longer than the caller would wait."""

    code = "producer.buffer_full"
    outcome = Outcome.RETRY
    aws_code = "ServiceUnavailableException"
    http_status = 503


class ProducerClosed(ProducerError):
    code = "producer.closed"


class FlushTimeout(ProducerError):
    """The time ran out; the events are still being sent."""

    code = "producer.flush_timeout"
    outcome = Outcome.UNKNOWN


class StreamUnavailable(ProducerError):
    """Requests fail in a way that passes: no connection, throttling, a 5xx."""

    code = "producer.stream_unavailable"
    outcome = Outcome.RETRY
    aws_code = "ServiceUnavailableException"
    http_status = 503


class StreamRefused(ProducerError):
    """Requests fail until somebody changes something: credentials, rights, the stream's name."""

    code = "producer.stream_refused"
    outcome = Outcome.RETRY


class RecordRejected(ProducerError):
    """The service will never take this record."""

    code = "producer.record_rejected"
    aws_code = "InvalidArgumentException"
    http_status = 400


class SpoolFull(ProducerError):
    code = "producer.spool_full"
    outcome = Outcome.RETRY
    aws_code = "ServiceUnavailableException"
    http_status = 503


class SpoolDamaged(ProducerError):
    """Bytes of a spool file fail their checksum; the rest of the file is read on."""

    code = "producer.spool_damaged"
