"""What the ingest room refuses, with the service's own codes."""

from lakelet.model.errors import LakeletError, Outcome


class LogUnavailable(LakeletError):
    """The disk did not take it. Nothing was acknowledged; the log goes on in a new segment."""

    code = "log.unavailable"
    outcome = Outcome.RETRY
    aws_code = "ServiceUnavailableException"
    http_status = 503


class LogDamaged(LakeletError):
    """A log folder that can't be opened at all."""

    code = "log.damaged"


class DeliveryFailed(LakeletError):
    """A bucket, a table or a function did not do its part; the records stay in the log."""

    code = "firehose.delivery"
    outcome = Outcome.RETRY
    streams: tuple[str, ...] = ()


class InvalidArgument(LakeletError):
    code = "firehose.invalid_argument"
    aws_code = "InvalidArgumentException"
    http_status = 400


class ResourceNotFound(LakeletError):
    code = "firehose.no_such_stream"
    aws_code = "ResourceNotFoundException"
    http_status = 400


class ResourceInUse(LakeletError):
    code = "firehose.in_use"
    aws_code = "ResourceInUseException"
    http_status = 400


class LimitExceeded(LakeletError):
    code = "firehose.limit"
    aws_code = "LimitExceededException"
    http_status = 400


class ConcurrentModification(LakeletError):
    code = "firehose.version"
    aws_code = "ConcurrentModificationException"
    http_status = 400


class InvalidSource(LakeletError):
    code = "firehose.source"
    aws_code = "InvalidSourceException"
    http_status = 400


class ServiceUnavailable(LakeletError):
    """Slow down: a full buffer, a throttle, an injected fault."""

    code = "firehose.unavailable"
    outcome = Outcome.RETRY
    aws_code = "ServiceUnavailableException"
    http_status = 503
