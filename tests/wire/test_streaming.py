"""Bodies that stream over a socket: in signed and unsigned chunks, cut off, refused unread."""

import asyncio
import base64
import hashlib
import socket
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from lakelet.store.disk import DiskObjectStore
from lakelet.wire.chunked import ChunkSigner
from lakelet.wire.credentials import Credentials
from lakelet.wire.http import HttpResponse
from lakelet.wire.server import ServerThread
from lakelet.wire.sigv4 import read_claim, verify
from tests.wire.test_sigv4 import to_request

BODY = b"hello, stream" * 10_000
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()


class Uploader:
    """A PUT whose body is framed by hand, as SDKs for other languages frame it."""

    def __init__(self, server: ServerThread, credentials: Credentials, bucket: str) -> None:
        self.url = f"{server.url}/{bucket}/streamed"
        self._credentials = credentials

    def signed(self, how: str, headers: dict[str, str]) -> AWSRequest:
        given = {
            "x-amz-content-sha256": how,
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(len(BODY)),
            **headers,
        }
        request = AWSRequest("PUT", self.url, headers=given)
        keys = BotoCredentials(self._credentials.access_key_id, self._credentials.secret)
        _Streaming(keys, "s3", "us-east-1").add_auth(request)
        return request

    def put(self, how: str, frame: Callable[[AWSRequest], bytes], **headers: str) -> httpx.Response:
        request = self.signed(how, {n.replace("_", "-"): v for n, v in headers.items()})
        return httpx.put(self.url, headers=dict(request.headers.items()), content=frame(request))

    def signer(self, request: AWSRequest) -> ChunkSigner:
        received = to_request(request)
        claim = read_claim(received)
        assert claim is not None
        return ChunkSigner(verify(received, claim, self._credentials, datetime.now(UTC)))


class _Streaming(S3SigV4Auth):
    """botocore would set the payload's hash itself."""

    def payload(self, request: Any) -> str:
        return str(request.headers["x-amz-content-sha256"])

    def _modify_request_before_signing(self, request: Any) -> None:
        declared = request.headers["x-amz-content-sha256"]
        super()._modify_request_before_signing(request)
        del request.headers["x-amz-content-sha256"]
        request.headers["x-amz-content-sha256"] = declared


@pytest.fixture
def uploader(s3_server: ServerThread, credentials: Credentials, bucket: str) -> Uploader:
    return Uploader(s3_server, credentials, bucket)


def chunks(size: int) -> list[bytes]:
    return [BODY[start : start + size] for start in range(0, len(BODY), size)]


def unsigned_frames(crc32: str) -> Callable[[AWSRequest], bytes]:
    def frame(_: AWSRequest) -> bytes:
        data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks(8192))
        return data + f"0\r\nx-amz-checksum-crc32:{crc32}\r\n\r\n".encode()

    return frame


@pytest.mark.parametrize(("crc32", "status"), [(CRC32, 200), ("AAAAAA==", 400)])
def test_unsigned_chunks_with_a_trailer(
    uploader: Uploader, s3: Any, bucket: str, folder: Path, crc32: str, status: int
) -> None:
    answer = uploader.put(
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        unsigned_frames(crc32),
        x_amz_trailer="x-amz-checksum-crc32",
    )
    assert answer.status_code == status, answer.text
    if status == 200:
        assert (folder / "streamed").read_bytes() == BODY
        assert answer.headers["x-amz-checksum-crc32"] == CRC32
        assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="streamed")
    else:
        assert "<Code>BadDigest</Code>" in answer.text
        assert not (folder / "streamed").exists()


def test_an_announced_trailer_must_come(uploader: Uploader, folder: Path) -> None:
    answer = uploader.put(
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        lambda _: b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
        x_amz_trailer="x-amz-checksum-crc32",
    )
    assert (answer.status_code, "InvalidRequest" in answer.text) == (400, True)
    assert not (folder / "streamed").exists()


@pytest.mark.parametrize(("spoilt", "status"), [(False, 200), (True, 403)])
def test_signed_chunks(uploader: Uploader, folder: Path, spoilt: bool, status: int) -> None:
    def frame(request: AWSRequest) -> bytes:
        signer = uploader.signer(request)
        body = b""
        for chunk in [*chunks(65536), b""]:
            signature = signer.of_chunk(hashlib.sha256(chunk).hexdigest()).encode()
            body += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(chunk), signature, chunk)
        return body.replace(b"hello", b"jello", 1) if spoilt else body

    answer = uploader.put("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", frame)
    assert answer.status_code == status, answer.text
    assert (folder / "streamed").exists() is not spoilt


def test_a_length_that_is_not_kept(uploader: Uploader, folder: Path) -> None:
    answer = uploader.put(
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER", lambda _: b"5\r\nhello\r\n0\r\n\r\n"
    )
    assert (answer.status_code, "IncompleteBody" in answer.text) == (400, True)
    assert not (folder / "streamed").exists()


def test_a_body_that_is_not_the_one_declared(
    uploader: Uploader, s3_server: ServerThread, folder: Path
) -> None:
    request = uploader.signed(hashlib.sha256(b"other").hexdigest(), {})
    headers = dict(request.headers.items())
    answer = httpx.put(uploader.url, headers=headers, content=BODY)
    assert (answer.status_code, "XAmzContentSHA256Mismatch" in answer.text) == (400, True)
    assert not (folder / "streamed").exists()


def test_a_refused_body_is_not_waited_for(s3_server: ServerThread, bucket: str) -> None:
    """The answer comes though the client is still sending; the connection goes on."""
    with httpx.Client() as client:
        url = f"{s3_server.url}/{bucket}/k?AWSAccessKeyId=x&Signature=x&Expires=9999999999"
        answer = client.put(url, content=bytes(20 << 20))
        assert (answer.status_code, "InvalidAccessKeyId" in answer.text) == (403, True)
        assert client.get(s3_server.url).status_code == 404


def test_a_client_that_leaves_publishes_nothing(
    s3_server: ServerThread, disk: DiskObjectStore, s3: Any, make_s3: Any, bucket: str
) -> None:
    drafts = disk.private_folder / "drafts"

    def wait_for_drafts(count: int) -> None:
        for _ in range(2000):  # each turn is a request of its own: no need to sleep
            if len(list(drafts.iterdir())) == count:
                return
            s3.list_objects_v2(Bucket=bucket)
        pytest.fail(f"there never were {count} drafts")

    target = {"Bucket": bucket, "Key": "k"}
    url = make_s3(signature_version="s3v4").generate_presigned_url("put_object", target)
    host = f"127.0.0.1:{s3_server.port}"
    head = f"PUT {url.split(host)[1]} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 9000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", s3_server.port)) as leaving:
        leaving.sendall(head.encode() + bytes(3 << 20))
        wait_for_drafts(1)
    wait_for_drafts(0)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_nobody_reads_on_for_a_client_that_has_left() -> None:
    closed, given, left = [], [], asyncio.Event()

    async def blocks() -> AsyncIterator[bytes]:
        try:
            for number in range(1000):
                given.append(number)
                yield b"x"
        finally:
            closed.append(True)

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if len(given) == 3:
            left.set()
        await asyncio.sleep(0)  # a server waits for the socket here

    asyncio.run(HttpResponse(200, {}, blocks()).send(send, receive=receive))
    assert closed == [True]
    assert len(given) < 10
