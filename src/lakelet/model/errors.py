"""What can go wrong, as values a caller can act on."""

from enum import StrEnum


class Outcome(StrEnum):
    """Whether the same call may be made again."""

    RETRY = "retry"  # nothing happened; the same call may succeed later
    NEVER = "never"  # nothing happened; the same call will fail again
    UNKNOWN = "unknown"  # it may have happened: look before calling again


class LakeletError(Exception):
    """The base of every error Lakelet raises on purpose.

    A subclass fixes `code` (what to search for), `outcome` and, where an AWS
    door may show it, `aws_code` and `http_status`; the message holds the values
    at fault and `hint` says what to do next.
    """

    code: str = "lakelet.error"
    outcome: Outcome = Outcome.NEVER
    aws_code: str = "InternalFailure"
    http_status: int = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class DeclarationError(LakeletError):
    """A lakelet.toml says something that cannot be meant."""

    code = "declaration.invalid"
    aws_code = "InvalidArgumentException"
    http_status = 400


class ObjectNotFound(LakeletError):
    code = "store.no_such_key"
    aws_code = "NoSuchKey"
    http_status = 404


class BucketNotFound(LakeletError):
    code = "store.no_such_bucket"
    aws_code = "NoSuchBucket"
    http_status = 404


class PreconditionFailed(LakeletError):
    """A conditional write met an object that is already there, or another version of it."""

    code = "store.precondition_failed"
    aws_code = "PreconditionFailed"
    http_status = 412


class StorageFull(LakeletError):
    code = "store.full"
    outcome = Outcome.RETRY
    aws_code = "ServiceUnavailableException"
    http_status = 503


class DataFolderError(LakeletError):
    """The data folder cannot be used: unwritable, or held by another node."""

    code = "node.data_folder"
