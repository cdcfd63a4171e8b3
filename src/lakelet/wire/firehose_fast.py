"""PutRecord and PutRecordBatch without the detours: the same answers, sooner.

These two requests are nearly all that a busy node hears. For them alone the HTTP protocol
is watched as it is parsed; a body that is complete, signed and well-formed goes straight to
the log, and its answer leaves in one write: no ASGI messages, no task, no future. All else,
also anything about such a request that is not perfectly usual (another address, chunks, a
Content-Encoding, a wrong signature, members that don't decode), is handed over to the
general way untouched, so errors are told in one place only. tests/ingest/test_firehose_fast.py
sends the same bytes both ways and compares. A large body goes past the HTTP parser, and under load
another process reads it (docs/decisions/0016, 0017).

Measured on two cores (bench/ingest.py): 3 times the requests a second for PutRecord.
"""

import asyncio
import hashlib
import itertools
import logging
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Any, Protocol

import httptools
import msgspec
from botocore.model import OperationModel
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lakelet.ingest.put import PutResult
from lakelet.model.errors import LakeletError
from lakelet.model.ports import Buffer, Clock
from lakelet.wire.app import BODY_SIZE_BYTES_MAX, Observer, Served
from lakelet.wire.decoders import native_decoder
from lakelet.wire.errors import to_answer
from lakelet.wire.firehose import encode_responses, only_record_id
from lakelet.wire.models import service_model, signing_name
from lakelet.wire.protocol.json import JsonProtocol
from lakelet.wire.put_bodies import BodyReader, ReadBody, split_batch
from lakelet.wire.sigv4 import CredentialStore
from lakelet.wire.sigv4_usual import holds

logger = logging.getLogger("lakelet.wire")

_SIGNING_NAME = signing_name("firehose")
_TARGET = b"x-amz-target"
_OPERATIONS = {
    b"Firehose_20150804.PutRecord": "PutRecord",
    b"Firehose_20150804.PutRecordBatch": "PutRecordBatch",
}
# Headers that ask for something the fast way does not do.
_UNUSUAL = frozenset((b"content-encoding", b"transfer-encoding", b"expect", b"upgrade"))


# From this size on a body goes past the parser.
_LARGE_BODY_BYTES = 32 * 1024
_HEAD_SIZE_BYTES_MAX = 8 * 1024
_PIECE_SIZE_BYTES_MIN = 16 * 1024
# What may come behind a body that is being read elsewhere, before the sender has to wait.
_EARLY_BYTES_MAX = 64 * 1024


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
    name: str
    model: OperationModel
    decode: Callable[[bytes], tuple[str, Sequence[bytes]]]  # the stream's name, its records
    encode: Callable[[PutResult], bytes]


@dataclass(slots=True)  # not frozen: that costs at each request what it saves nobody
class _Put:
    """A request whose signature held, decoded."""

    operation: _Operation
    stream: str
    records: Sequence[bytes]


class FastPuts:
    """What every connection's protocol shares."""

    def __init__(
        self,
        ingestion: SubmitDoor,
        *,
        credentials: CredentialStore | None,
        clock: Clock,
        observer: Observer | None = None,
        reader: BodyReader | None = None,
    ) -> None:
        self.ingestion, self.credentials, self.clock = ingestion, credentials, clock
        self.observer, self.reader = observer, reader
        self.protocol = JsonProtocol()
        # A whole answer's own headers, as the protocol spells them: id and length to be filled in.
        sample = self.protocol.serialise(_operation("PutRecord").model, {}, "%b").headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in sample.items())
        self.server_headers: list[tuple[bytes, bytes]] = []
        self.server_lines = b""  # of them
        self.answer_head = f"{lines}content-length: %d\r\n\r\n".encode()
        self.operations = {target: _operation(name) for target, name in _OPERATIONS.items()}

    def judge(self, target: bytes, headers: Mapping[bytes, bytes], body: bytes) -> _Put | None:
        """None where the general way must look at it."""
        operation = self.operations[target]
        try:
            if not self._is_signed(headers, hashlib.sha256(body).hexdigest().encode()):
                return None
            return _Put(operation, *operation.decode(body))
        except (LakeletError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        except Exception:  # whatever it is, somebody waits for an answer
            logger.exception("a put could not be judged, and goes the general way")
            return None

    def judge_read(
        self, target: bytes, headers: Mapping[bytes, bytes], body: ReadBody
    ) -> _Put | None:
        """The same of a body that another process has read."""
        try:
            if not self._is_signed(headers, body.payload_sha256):
                return None
            return _Put(self.operations[target], body.stream, body.records)
        except Exception:
            logger.exception("a put could not be judged, and goes the general way")
            return None

    def _is_signed(self, headers: Mapping[bytes, bytes], payload_sha256: bytes) -> bool:
        return self.credentials is None or holds(
            headers, payload_sha256, self.credentials, _SIGNING_NAME, self.clock.now()
        )

    def http_protocol(self) -> type[HttpToolsProtocol]:
        """For uvicorn's `http` setting."""
        return type("FastPutProtocol", (_PutProtocol,), {"puts": self})


def _operation(name: str) -> _Operation:
    model = service_model("firehose").operation_model(name)
    decoder = native_decoder(model.input_shape)
    if decoder is None:
        raise TypeError(f"botocore's model of {name} has something that is not decoded natively")

    def decode_one(body: bytes) -> tuple[str, Sequence[bytes]]:
        members = decoder.decode(body)
        return members["DeliveryStreamName"], (members["Record"]["Data"],)

    def decode_batch(body: bytes) -> tuple[str, Sequence[bytes]]:
        if usual := split_batch(body):
            return usual
        members = decoder.decode(body)
        return members["DeliveryStreamName"], [each["Data"] for each in members["Records"]]

    if name == "PutRecord":
        return _Operation(name, model, decode_one, _encode_one)
    return _Operation(name, model, decode_batch, _encode_batch)


def _encode_one(result: PutResult) -> bytes:
    record_id = only_record_id(result)
    encrypted = "true" if result.is_encrypted else "false"
    return f'{{"RecordId":"{record_id}","Encrypted":{encrypted}}}'.encode()


def _encode_batch(result: PutResult) -> bytes:
    encrypted = "true" if result.is_encrypted else "false"
    head = f'{{"FailedPutCount":{result.failed_count},"Encrypted":{encrypted},"RequestResponses":'
    return b"".join((head.encode(), encode_responses(result), b"}"))


# Of a UUID's form; uuid4() asks the kernel each time, and nobody guards anything by it.
_PROCESS_ID = str(uuid.uuid4())[:24]
_request_count = itertools.count(random.getrandbits(40))


def _request_id() -> str:
    return f"{_PROCESS_ID}{next(_request_count):012x}"


class _Cycle:
    """Stands for a request under way where uvicorn looks for its own: so that it queues
    what a client pipelines behind it, and waits for it when the server stops."""

    __slots__ = ("disconnected", "keep_alive", "request_id", "response_complete", "started")

    def __init__(self) -> None:
        self.request_id = _request_id()
        self.started = perf_counter()
        self.response_complete = self.disconnected = False
        self.keep_alive = True

    @property
    def message_event(self) -> "_Cycle":
        return self

    def set(self) -> None:
        """Nobody waits for its messages."""


def _new_parser(protocol: HttpToolsProtocol) -> httptools.HttpRequestParser:
    """As uvicorn makes it; ours has not seen the end of a large body."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _head_size(data: bytes) -> int:
    """Of the head alone where a large batch begins: so that the parser, which copies what it
    reads of a body, does not see it. Else 0."""
    if not data.startswith(b"POST / "):
        return 0
    end = data.find(b"\r\n\r\n", 0, _HEAD_SIZE_BYTES_MAX) + 4
    # What would be upgraded is parsed in one piece: the parser stops at such a head.
    is_batch = b".PutRecordBatch\r\n" in data[:end] and b"upgrade" not in data[:end].lower()
    return end if is_batch else 0


def _keep(parts: list[Buffer], piece: memoryview) -> None:
    """Small pieces are put together: the object for each would take more than it holds, and a
    sender may cut 16 MiB into single bytes."""
    if len(piece) >= _PIECE_SIZE_BYTES_MIN:
        parts.append(piece)
    elif parts and isinstance(last := parts[-1], bytearray):
        last += piece
    else:
        parts.append(bytearray(piece))


class _PutProtocol(HttpToolsProtocol):
    """One connection."""

    puts: FastPuts
    _target = b""  # X-Amz-Target of a request that may go the fast way
    _length = 0  # of its body, as it was declared
    _values: Mapping[bytes, bytes] = MappingProxyType({})  # its headers
    _body: list[Buffer] | None = None  # what of it has come
    _missing_bytes = 0  # of a large one, which the parser does not see
    _early: bytearray | None = None  # what came while another process reads a body; else None
    _resting_since = 0.0  # loop time; 0 while a request is under way
    _timer: asyncio.TimerHandle | None = None  # looks whether it rested too long

    # --- bytes ----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._missing_bytes and self._body is not None:
            self._unset_keepalive_if_required()
            self._collect(self._body, memoryview(data))
            return
        if self._early is not None:
            self._early += data
            if len(self._early) > _EARLY_BYTES_MAX:
                self.flow.pause_reading()
            return
        # Cut anywhere, the parser reads the same.
        head_size = _head_size(data) if len(data) >= _LARGE_BODY_BYTES else 0
        super().data_received(data[:head_size] if head_size else data)
        rest = memoryview(data)[head_size:] if head_size else b""
        if self._body is not None and self._length >= _LARGE_BODY_BYTES:
            self._missing_bytes = self._length - sum(map(len, self._body))
            if rest:
                self._collect(self._body, memoryview(rest))
        elif rest and not self.transport.is_closing():
            super().data_received(rest)  # type: ignore[arg-type]

    def _collect(self, parts: list[Buffer], data: memoryview) -> None:
        """A large body past the parser, which would copy it once more."""
        mine, after = data[: self._missing_bytes], data[self._missing_bytes :]
        _keep(parts, mine)
        self._missing_bytes -= len(mine)
        if self._missing_bytes:
            return
        if not self._read_elsewhere(parts, after):
            began = perf_counter()
            self._judge(b"".join(parts))
            if self.puts.reader is not None:
                self.puts.reader.note_own_work(perf_counter() - began)
            self._go_on(after)

    def _read_elsewhere(self, parts: list[Buffer], after: memoryview) -> bool:
        """Whether another process reads this body. Meanwhile nothing else of this connection
        is looked at: the parser still knows this request's head."""
        reader, cycle = self.puts.reader, _Cycle()

        def answer(body: ReadBody | None) -> None:
            early, self._early = self._early or b"", None
            is_gone = cycle.disconnected or self.transport.is_closing()
            put = body and self.puts.judge_read(self._target, self._values, body)
            if put:
                self._submit(cycle, put)
            else:
                cycle.response_complete = True
                if is_gone:
                    return
                self._judge(b"".join(parts))
                # What the server said to the one that stood for it.
                self.cycle.keep_alive &= cycle.keep_alive
            self._go_on(early)

        if reader is None or not reader.read(parts, self._length, answer):
            return False
        self._body, self._early = None, bytearray(after)
        self.cycle = cycle  # type: ignore[assignment]
        return True

    def _go_on(self, after: Buffer) -> None:
        """Behind a large body, which the parser has not seen the end of."""
        if self.transport.is_closing():
            return
        self.parser = _new_parser(self)
        if after:
            self.data_received(bytes(after))

    def _judge(self, body: bytes) -> None:
        self._body = None
        put = self.puts.judge(self._target, self._values, body)
        if put is None:
            self._go_the_general_way(body)
        else:
            cycle = _Cycle()
            self.cycle = cycle  # type: ignore[assignment]
            self._submit(cycle, put)

    # --- the parser's calls ---------------------------------------------------------

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
        else:
            self._judge(b"".join(self._body))

    def _is_usual(self) -> bool:
        values = dict(self.headers)
        target, length = values.get(_TARGET, b""), values.get(b"content-length", b"")
        is_usual = (
            target in _OPERATIONS
            and len(values) == len(self.headers)  # none came twice
            and _UNUSUAL.isdisjoint(values)
            and self.url == b"/"
            and self.parser.get_method() == b"POST"
            and length.isdigit()
            and int(length) <= BODY_SIZE_BYTES_MAX
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and (self.cycle is None or self.cycle.response_complete)
        )
        if is_usual:
            self._target, self._length, self._values = target, int(length), values
        return is_usual

    def _go_the_general_way(self, body: bytes) -> None:
        super().on_headers_complete()
        super().on_body(body)
        super().on_message_complete()

    # --- answering ------------------------------------------------------------------

    def _submit(self, cycle: "_Cycle", put: "_Put") -> None:
        operation = put.operation

        def answer(outcome: PutResult | BaseException) -> None:
            self._answer(cycle, operation, outcome)

        try:
            self.puts.ingestion.submit(put.stream, put.records, answer, self.loop)
        except Exception as error:  # noqa: BLE001 - as below
            answer(error)

    def _answer(
        self, cycle: _Cycle, operation: _Operation, outcome: PutResult | BaseException
    ) -> None:
        puts, status, error_code = self.puts, 200, ""
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            body = operation.encode(outcome)
            head = puts.answer_head % (cycle.request_id.encode(), len(body))
            answer = self._head(200) + head + body
        except Exception as error:  # noqa: BLE001 - the edge: here any error becomes an answer
            answer, status, error_code = self._refuse(cycle, operation, error)
        cycle.response_complete = True
        if not cycle.disconnected and not self.transport.is_closing():
            self.transport.write(answer)
            if not cycle.keep_alive:
                self.transport.close()
            if self.pipeline or not cycle.keep_alive:
                self.on_response_complete()
            else:
                self._rest()
        if puts.observer is not None:
            duration = perf_counter() - cycle.started
            puts.observer(
                Served(
                    "firehose",
                    operation.name,
                    status,
                    error_code,
                    duration,
                    cycle.request_id,
                )
            )

    def _rest(self) -> None:
        """As uvicorn does between requests, but with one timer for many of them."""
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._resting_since = self.loop.time()
        if self._timer is None:
            self._timer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _unset_keepalive_if_required(self) -> None:
        super()._unset_keepalive_if_required()
        self._resting_since = 0.0

    def _close_if_idle(self) -> None:
        self._timer = None
        if not self._resting_since:
            return
        left = self._resting_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def _refuse(
        self, cycle: _Cycle, operation: _Operation, error: Exception
    ) -> tuple[bytes, int, str]:
        protocol = self.puts.protocol
        told = to_answer(error, protocol.refusal_codes, protocol.internal_code)
        if not isinstance(error, LakeletError):
            names = (operation.name, cycle.request_id)
            logger.error("firehose %s %s failed", *names, exc_info=error)
        response = protocol.serialise_error(operation.model, told, cycle.request_id)
        lines = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        body: bytes = response.body  # type: ignore[assignment]
        tail = f"{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1")
        return self._head(response.status) + tail + body, response.status, told.code

    def _head(self, status: int) -> bytes:
        """The status line and uvicorn's own headers."""
        puts, headers = self.puts, self.server_state.default_headers
        if headers is not puts.server_headers:  # another list each second, for the date
            puts.server_lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
            puts.server_headers = headers
        return STATUS_LINE[status] + puts.server_lines
