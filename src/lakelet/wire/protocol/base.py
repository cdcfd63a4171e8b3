"""What every protocol can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.model import OperationModel

from lakelet.wire.errors import ErrorAnswer, Refusal
from lakelet.wire.http import HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class Target:
    """What a request asks for, before anything of it is believed."""

    service: str  # botocore's name
    operation: str  # as the client spelt it: it may not exist


class WireProtocol(Protocol):
    """AWS bytes ↔ members. Stateless; knows shapes, not services."""

    name: str
    refusal_codes: Mapping[Refusal, tuple[str, int]]
    internal_code: str

    def parse(self, operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
        """The input's members, checked. Raises ProtocolRefusal."""
        ...

    def serialise(self, operation: OperationModel, answer: Any, request_id: str) -> HttpResponse:
        """Raises AnswerError where the answer is not of the output's shape."""
        ...

    def serialise_error(
        self, operation: OperationModel | None, error: ErrorAnswer, request_id: str
    ) -> HttpResponse: ...
