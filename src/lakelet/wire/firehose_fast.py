"""PutRecord and PutRecordBatch without the detours: the same answers, sooner.

These two requests are nearly all that a busy node hears. For them alone the HTTP protocol
is watched as it is parsed; a body that is complete, signed and well-formed goes straight to
the log, and its answer leaves in one write: no ASGI messages, no task, no future. All else,
also anything about such a request that is not perfectly usual (another address, chunks, a
Content-Encoding, a wrong signature, members that don't decode), is handed over to the
general way untouched, so errors are told in one place only. tests/ingest/test_firehose_fast.py
sends the same bytes both ways and compares.

Measured on two cores (bench/ingest.py): 3 times the requests a second for PutRecord.
"""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import msgspec
from botocore.model import OperationModel
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lakelet.ingest.put import PutResult
from lakelet.model.errors import LakeletError
from lakelet.model.ports import Clock
from lakelet.wire.app import BODY_SIZE_BYTES_MAX, Observer, Served
from lakelet.wire.body import check_payload
from lakelet.wire.decoders import native_decoder
from lakelet.wire.errors import to_answer
from lakelet.wire.firehose import encode_responses, only_record_id
from lakelet.wire.http import HttpRequest
from lakelet.wire.models import service_model, signing_name
from lakelet.wire.protocol.json import JsonProtocol
from lakelet.wire.sigv4 import CredentialStore, read_claim, verify

logger = logging.getLogger("lakelet.wire")

_SIGNING_NAME = signing_name("firehose")
_TARGET = b"x-amz-target"
_OPERATIONS = {
    b"Firehose_20150804.PutRecord": "PutRecord",
    b"Firehose_20150804.PutRecordBatch": "PutRecordBatch",
}
# Headers that ask for something the fast way does not do.
_UNUSUAL = frozenset((b"content-encoding", b"transfer-encoding", b"expect", b"upgrade"))


class SubmitDoor(Protocol):
    """Ingestion, without futures."""

    def submit(
        self,
        stream: str,
        records: Sequence[bytes],
        answer: Callable[[PutResult | BaseException], None],
        loop: Any,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class _Operation:
    model: OperationModel
    decoder: "msgspec.json.Decoder[dict[str, Any]]"
    encode: Callable[[PutResult], bytes]


class FastPuts:
    """What every connection's protocol shares."""

    def __init__(
        self,
        ingestion: SubmitDoor,
        *,
        credentials: CredentialStore | None,
        clock: Clock,
        observer: Observer | None = None,
    ) -> None:
        self.ingestion, self.credentials, self.clock = ingestion, credentials, clock
        self.observer = observer
        self.protocol = JsonProtocol()
        # A whole answer's own headers, as the protocol spells them; %-filled for each.
        sample = self.protocol.serialise(_operation("PutRecord").model, {}, "%b").headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in sample.items())
        self.answer_head = f"{lines}content-length: %d\r\n\r\n".encode()
        self.operations = {name: _operation(name) for name in _OPERATIONS.values()}

    def http_protocol(self) -> type[HttpToolsProtocol]:
        """For uvicorn's `http` setting."""
        return type("FastPutProtocol", (_PutProtocol,), {"puts": self})


def _operation(name: str) -> _Operation:
    model = service_model("firehose").operation_model(name)
    decoder = native_decoder(model.input_shape)
    if decoder is None:
        raise TypeError(f"botocore's model of {name} has something that is not decoded natively")
    return _Operation(model, decoder, _encode_batch if name == "PutRecordBatch" else _encode_one)


def _encode_one(result: PutResult) -> bytes:
    record_id = only_record_id(result)
    encrypted = "true" if result.is_encrypted else "false"
    return f'{{"RecordId":"{record_id}","Encrypted":{encrypted}}}'.encode()


def _encode_batch(result: PutResult) -> bytes:
    encrypted = "true" if result.is_encrypted else "false"
    head = f'{{"FailedPutCount":{result.failed_count},"Encrypted":{encrypted},"RequestResponses":'
    return b"".join((head.encode(), encode_responses(result), b"}"))


def _request_id() -> str:
    """Of a UUID's form; uuid4() asks the kernel each time, and nobody guards anything by it."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{digits[16:20]}-{digits[20:]}"


class _Cycle:
    """Stands for a request under way where uvicorn looks for its own: so that it queues
    what a client pipelines behind it, and waits for it when the server stops."""

    __slots__ = ("disconnected", "keep_alive", "operation", "request_id", "response_complete",
                 "started")  # fmt: skip

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.request_id = _request_id()
        self.started = perf_counter()
        self.response_complete = self.disconnected = False
        self.keep_alive = True

    @property
    def message_event(self) -> "_Cycle":
        return self

    def set(self) -> None:
        """Nobody waits for its messages."""


class _PutProtocol(HttpToolsProtocol):
    """One connection."""

    puts: FastPuts
    _body: list[bytes] | None = None  # of a request that may go the fast way

    def on_headers_complete(self) -> None:
        if self._is_usual():
            self._body = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._body is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._body is None:
            super().on_message_complete()
            return
        parts, self._body = self._body, None
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if not self._put(body):
            super().on_headers_complete()
            super().on_body(body)
            super().on_message_complete()

    def _is_usual(self) -> bool:
        target, length = b"", b""
        for name, value in self.headers:
            if name == _TARGET:
                target = value
            elif name == b"content-length":
                length = value
            elif name in _UNUSUAL:
                return False
        return (
            target in _OPERATIONS
            and self.url == b"/"
            and self.parser.get_method() == b"POST"
            and length.isdigit()
            and int(length) <= BODY_SIZE_BYTES_MAX
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and (self.cycle is None or self.cycle.response_complete)
        )

    def _put(self, body: bytes) -> bool:
        """Whether the request is on its way to the log, or answered."""
        puts = self.puts
        request = HttpRequest.from_scope(
            {"headers": self.headers, "method": "POST", "raw_path": b"/", "query_string": b""},
            _no_receive,
        )
        request.body = body
        operation_name = _OPERATIONS[request.headers["x-amz-target"].encode("latin-1")]
        operation = puts.operations[operation_name]
        try:
            if puts.credentials is not None:
                claim = read_claim(request)
                if claim is None:
                    return False
                if claim.scope.service != _SIGNING_NAME:
                    return False
                verified = verify(request, claim, puts.credentials, puts.clock.now())
                if "x-amz-content-sha256" in request.headers:
                    check_payload(body, verified)
            members = operation.decoder.decode(body)
        except (LakeletError, msgspec.DecodeError, UnicodeDecodeError):
            return False
        cycle = _Cycle(operation_name)
        self.cycle = cycle  # type: ignore[assignment]
        if operation_name == "PutRecord":
            records = [members["Record"]["Data"]]
        else:
            records = [record["Data"] for record in members["Records"]]

        def answer(outcome: PutResult | BaseException) -> None:
            self._answer(cycle, operation, outcome)

        try:
            puts.ingestion.submit(members["DeliveryStreamName"], records, answer, self.loop)
        except LakeletError as error:
            answer(error)
        return True

    def _answer(
        self, cycle: _Cycle, operation: _Operation, outcome: PutResult | BaseException
    ) -> None:
        puts, status, error_code = self.puts, 200, ""
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            body = operation.encode(outcome)
            head = self._head(200) + puts.answer_head
            answer = head % (cycle.request_id.encode(), len(body)) + body
        except Exception as error:  # noqa: BLE001 - the edge: here any error becomes an answer
            answer, status, error_code = self._refuse(cycle, operation, error)
        cycle.response_complete = True
        if not cycle.disconnected and not self.transport.is_closing():
            self.transport.write(answer)
            if not cycle.keep_alive:
                self.transport.close()
            self.on_response_complete()
        if puts.observer is not None:
            duration = perf_counter() - cycle.started
            puts.observer(
                Served(
                    "firehose",
                    cycle.operation,
                    status,
                    error_code,
                    duration,
                    cycle.request_id,
                )
            )

    def _refuse(
        self, cycle: _Cycle, operation: _Operation, error: Exception
    ) -> tuple[bytes, int, str]:
        protocol = self.puts.protocol
        told = to_answer(error, protocol.refusal_codes, protocol.internal_code)
        if not isinstance(error, LakeletError):
            names = (cycle.operation, cycle.request_id)
            logger.error("firehose %s %s failed", *names, exc_info=error)
        response = protocol.serialise_error(operation.model, told, cycle.request_id)
        lines = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        body: bytes = response.body  # type: ignore[assignment]
        tail = f"{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1")
        return self._head(response.status) + tail + body, response.status, told.code

    def _head(self, status: int) -> bytes:
        """The status line and uvicorn's own headers (the date: new each second)."""
        headers = self.server_state.default_headers
        return STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % pair for pair in headers)


async def _no_receive() -> dict[str, Any]:
    raise RuntimeError("a fast request's body is read already")
