"""`aws-chunked` bodies: frames around the data, each with a signature, checksums at the end.

    10000;chunk-signature=<hex>\\r\\n<65,536 bytes>\\r\\n … 0;chunk-signature=<hex>\\r\\n
    x-amz-checksum-crc32:<base64>\\r\\nx-amz-trailer-signature:<hex>\\r\\n\\r\\n

Bytes in, bytes out; no socket. Data is given on before its frame's signature is checked, which
is safe since nothing of it is published before the last frame held.

Source: "Signature calculations for the authorization header: transferring payload in multiple
chunks", the S3 API reference, whose example is a test.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

from lakelet.wire.errors import ProtocolRefusal, Refusal, RequestRefused
from lakelet.wire.sigv4 import EMPTY_SHA256, Verified, sign_text

_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}")
_LINE_SIZE_BYTES_MAX = 8192  # of a frame's head, or one trailer
_TRAILERS_MAX = 32


class ChunkSigner:
    """The chain of signatures: each covers the one before it."""

    def __init__(self, verified: Verified) -> None:
        self._key = verified.signing_key
        self._stamp = verified.claim.signed_at.strftime("%Y%m%dT%H%M%SZ")
        self._scope = str(verified.claim.scope)
        self._previous = verified.claim.signature

    def of_chunk(self, sha256_hex: str) -> str:
        return self._next("AWS4-HMAC-SHA256-PAYLOAD", EMPTY_SHA256, sha256_hex)

    def of_trailers(self, canonical: bytes) -> str:
        return self._next("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(canonical).hexdigest())

    def _next(self, algorithm: str, *hashes: str) -> str:
        text = "\n".join((algorithm, self._stamp, self._scope, self._previous, *hashes))
        self._previous = sign_text(self._key, text)
        return self._previous


@dataclass
class _Frame:
    size_bytes: int
    signature: str
    remaining_bytes: int


class ChunkedDecoder:
    """Feed it bytes as they come; `finish` says whether all was there, and true."""

    def __init__(self, signer: ChunkSigner | None = None) -> None:
        self._signer = signer
        self._buffer = bytearray()
        self._frame: _Frame | None = None
        self._sha256 = hashlib.sha256()
        self._in_trailers = False
        self._is_done = False
        self._canonical_trailers = b""
        self.trailers: dict[str, str] = {}

    def feed(self, data: bytes) -> list[bytes]:
        """The payload in `data`. Raises RequestRefused, ProtocolRefusal."""
        self._buffer += data
        payload: list[bytes] = []
        while self._step(payload):
            pass
        return payload

    def finish(self) -> None:
        """The body has ended. Raises RequestRefused where it ended too early."""
        if self._in_trailers and not self._is_done:  # some clients leave out the closing line
            self.feed(b"\r\n\r\n" if self._buffer else b"\r\n")
        if not self._is_done:
            raise RequestRefused(
                "IncompleteBody", "The aws-chunked body ended before its last chunk."
            )

    def _step(self, payload: list[bytes]) -> bool:
        """Whether anything could be taken from the buffer."""
        if self._is_done or not self._buffer:
            return False
        if self._in_trailers:
            return self._take_trailer()
        if self._frame is None:
            return self._take_head()
        if self._frame.remaining_bytes:
            return self._take_data(self._frame, payload)
        return self._take_end(self._frame)

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > _LINE_SIZE_BYTES_MAX:
                raise _malformed("a line without an end")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take_head(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        size_hex, _, extension = line.partition(b";")
        if not _SIZE.fullmatch(size_hex):  # int() would take a sign, 0x and underscores, too
            raise _malformed(f"{size_hex[:40]!r} is no chunk size")
        size_bytes = int(size_hex, 16)
        name, _, signature = extension.partition(b"=")
        if self._signer is not None and name != b"chunk-signature":
            raise _malformed("a chunk without a signature")
        self._frame = _Frame(size_bytes, signature.decode("latin-1"), size_bytes)
        self._sha256 = hashlib.sha256()
        if size_bytes == 0:
            self._check_frame(self._frame)
            self._in_trailers = True
        return True

    def _take_data(self, frame: _Frame, payload: list[bytes]) -> bool:
        part = bytes(self._buffer[: frame.remaining_bytes])
        del self._buffer[: len(part)]
        frame.remaining_bytes -= len(part)
        if self._signer is not None:
            self._sha256.update(part)
        payload.append(part)
        return True

    def _take_end(self, frame: _Frame) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise _malformed("a chunk is longer than its size says")
        del self._buffer[:2]
        self._check_frame(frame)
        self._frame = None
        return True

    def _check_frame(self, frame: _Frame) -> None:
        if self._signer is None:
            return
        expected = self._signer.of_chunk(self._sha256.hexdigest())
        if not hmac.compare_digest(expected, frame.signature):
            raise _wrong_signature("a chunk")

    def _take_trailer(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if not line:
            self._check_trailers()
            self._is_done = True
            return True
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(self.trailers) >= _TRAILERS_MAX:
            raise _malformed("a trailer that is no header")
        self.trailers[name.strip().lower()] = value.strip()
        if name.strip().lower() != "x-amz-trailer-signature":
            self._canonical_trailers += f"{name.strip().lower()}:{value.strip()}\n".encode()
        return True

    def _check_trailers(self) -> None:
        signature = self.trailers.pop("x-amz-trailer-signature", None)
        if self._signer is None or not self.trailers:
            return
        expected = self._signer.of_trailers(self._canonical_trailers)
        if signature is None or not hmac.compare_digest(expected, signature):
            raise _wrong_signature("the trailers")


def _malformed(what: str) -> RequestRefused:
    return RequestRefused("InvalidRequest", f"The aws-chunked body is malformed: {what}.")


def _wrong_signature(of: str) -> ProtocolRefusal:
    return ProtocolRefusal(
        Refusal.WRONG_SIGNATURE, f"The signature of {of} does not match what was computed."
    )
