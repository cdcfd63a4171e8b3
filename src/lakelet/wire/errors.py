"""Errors at the wire, and the one place where any error becomes an AWS answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lakelet.model.errors import LakeletError


class RequestRefused(LakeletError):
    """A request that never reaches a handler; the code is the service's own word for why."""

    code = "wire.refused"

    def __init__(
        self,
        aws_code: str,
        message: str,
        *,
        http_status: int = 400,
        hint: str = "",
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.aws_code = aws_code
        self.http_status = http_status
        self.aws_members = members or {}


class Refusal(Enum):
    """Why a request was turned away before its operation; each protocol has its own codes."""

    UNSIGNED = "unsigned"
    MALFORMED_SIGNATURE = "malformed signature"
    UNKNOWN_KEY = "unknown key"
    WRONG_SIGNATURE = "wrong signature"
    SKEWED = "skewed"
    EXPIRED = "expired"
    UNKNOWN_OPERATION = "unknown operation"
    NOT_IMPLEMENTED = "not implemented"
    SERIALIZATION = "serialization"
    VALIDATION = "validation"


class ProtocolRefusal(LakeletError):
    """A refusal whose AWS code depends on the protocol the client speaks."""

    code = "wire.refused"
    http_status = 400

    def __init__(self, refusal: Refusal, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.refusal = refusal


class AnswerError(Exception):
    """A handler returned what its operation's output shape does not have: our bug."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as a client will read it."""

    code: str
    message: str
    http_status: int = 400
    members: Mapping[str, Any] = field(default_factory=dict)  # further ones of its shape

    @property
    def is_server_fault(self) -> bool:
        return self.http_status >= 500


INTERNAL_MESSAGE = (
    "The request processing has failed because of an unknown error, exception or failure."
)


def to_answer(
    error: BaseException, codes: Mapping[Refusal, tuple[str, int]], internal_code: str
) -> ErrorAnswer:
    """What to tell a client of any exception; of unexpected ones nothing but that."""
    if isinstance(error, ProtocolRefusal):
        aws_code, http_status = codes[error.refusal]
        return ErrorAnswer(aws_code, _text(error), http_status)
    if isinstance(error, LakeletError):
        members = getattr(error, "aws_members", {})
        return ErrorAnswer(error.aws_code, _text(error), error.http_status, members)
    return ErrorAnswer(internal_code, INTERNAL_MESSAGE, 500)


def _text(error: LakeletError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message
