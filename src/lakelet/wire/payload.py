"""A body that streams: unframed, checked and given on in blocks, never held as a whole."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from lakelet.wire.checksums import HEADER_PREFIX, Checksum, check_digest, new_checksum
from lakelet.wire.chunked import ChunkedDecoder, ChunkSigner
from lakelet.wire.errors import RequestRefused
from lakelet.wire.http import HttpRequest
from lakelet.wire.sigv4 import is_hash

BLOCK_SIZE_BYTES = 1 << 20  # large enough that handing a block to a thread costs nothing
OBJECT_SIZE_BYTES_MAX = 5 << 30  # S3's limit of one request


class BodyStream:
    """The payload of one request; `pour` it once."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._decoder = _decoder(request)
        self._sha256 = hashlib.sha256() if is_hash(_declared_sha256(request)) else None
        self._checksums = _declared_checksums(request)
        self.size_bytes = 0
        self.checked: dict[str, str] = {}  # by algorithm, Base64: what held, to be answered

    async def pour(self, write: Callable[[bytes], Any]) -> None:
        """Every block to `write`, in a thread; then all checks.

        Raises:
            RequestRefused, ProtocolRefusal: not the body that was signed or summed up;
            ClientGone. Whatever was written must not be published then.
        """
        async for block in self._blocks():
            self.size_bytes += len(block)
            if self.size_bytes > OBJECT_SIZE_BYTES_MAX:
                raise RequestRefused(
                    "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size."
                )
            await asyncio.to_thread(partial(self._take, block, write))
        self._check()

    async def read(self) -> bytes:
        """For small payloads: the whole of it, checked."""
        parts: list[bytes] = []
        await self.pour(parts.append)
        return b"".join(parts)

    async def _blocks(self) -> AsyncIterator[bytes]:
        waiting: list[bytes] = []
        size_bytes = 0
        async for chunk in self._request.chunks():
            payload = self._decoder.feed(chunk) if self._decoder else [chunk]
            waiting += payload
            size_bytes += sum(map(len, payload))
            if size_bytes >= BLOCK_SIZE_BYTES:
                yield b"".join(waiting)
                waiting, size_bytes = [], 0
        if self._decoder:
            self._decoder.finish()
        if size_bytes:
            yield b"".join(waiting)

    def _take(self, block: bytes, write: Callable[[bytes], Any]) -> None:
        if self._sha256 is not None:
            self._sha256.update(block)
        for checksum in self._checksums.values():
            checksum.update(block)
        write(block)

    def _check(self) -> None:
        headers = self._request.headers
        if self._sha256 is not None and self._sha256.hexdigest() != _declared_sha256(self._request):
            raise RequestRefused(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
        decoded_length = headers.get("x-amz-decoded-content-length", "")
        if decoded_length.isdigit() and int(decoded_length) != self.size_bytes:
            raise RequestRefused(
                "IncompleteBody",
                f"{self.size_bytes} bytes came, x-amz-decoded-content-length says "
                f"{decoded_length}.",
            )
        trailers = self._decoder.trailers if self._decoder else {}
        for algorithm, checksum in self._checksums.items():
            name = "content-md5" if algorithm == "content-md5" else f"{HEADER_PREFIX}{algorithm}"
            declared = headers.get(name) or trailers.get(name)
            if declared is None:
                raise RequestRefused("InvalidRequest", f"The announced trailer {name} is missing.")
            check_digest(algorithm, checksum.digest(), declared)
            if algorithm != "content-md5":
                self.checked[algorithm] = declared


def body_stream(request: HttpRequest) -> BodyStream:
    return BodyStream(request)


def _declared_sha256(request: HttpRequest) -> str:
    return request.headers.get("x-amz-content-sha256", "")


def _decoder(request: HttpRequest) -> ChunkedDecoder | None:
    """Signed chunks are verified where signatures are asked for at all."""
    declared = _declared_sha256(request)
    if not declared.startswith("STREAMING-"):
        return None
    is_signed = declared.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    if is_signed and request.verified is not None:
        return ChunkedDecoder(ChunkSigner(request.verified))
    return ChunkedDecoder()


def _declared_checksums(request: HttpRequest) -> dict[str, Checksum]:
    """By algorithm: those in headers, and those that a trailer will tell."""
    announced = request.headers.get("x-amz-trailer", "").lower().split(",")
    names = {*request.headers, *(name.strip() for name in announced)}
    found: dict[str, Checksum] = {}
    for name in sorted(names):
        algorithm = name[len(HEADER_PREFIX) :] if name.startswith(HEADER_PREFIX) else ""
        if algorithm and (checksum := new_checksum(algorithm)):
            found[algorithm] = checksum
    if "content-md5" in request.headers:
        found["content-md5"] = hashlib.md5(usedforsecurity=False)
    return found
