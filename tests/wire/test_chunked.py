"""aws-chunked bodies: AWS's own example, botocore's frames, and every way to cut them."""

import hashlib
import io
from datetime import UTC, datetime

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st

from lakelet.wire.chunked import ChunkedDecoder, ChunkSigner
from lakelet.wire.errors import ProtocolRefusal, RequestRefused
from lakelet.wire.http import HttpRequest
from lakelet.wire.sigv4 import Verified, read_claim, signing_key, verify
from tests.wire.test_sigv4 import KEYS, nothing

# "Example: PUT object" of "Signature calculations […] multiple chunks", S3 API reference.
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = [
    (b"a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
]
SIGNED = b"".join(
    b"%x;chunk-signature=%s\r\n%s\r\n" % (len(data), signature.encode(), data)
    for data, signature in CHUNKS
)
PAYLOAD = b"a" * 66560


def request() -> HttpRequest:
    scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
    names = (
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
        "x-amz-decoded-content-length;x-amz-storage-class"
    )
    return HttpRequest(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        {
            "host": "s3.amazonaws.com",
            "x-amz-date": "20130524T000000Z",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={names},"
            f"Signature={SEED}",
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": "66560",
            "content-length": "66824",
        },
        nothing,
    )


@pytest.fixture
def verified() -> Verified:
    claim = read_claim(request())
    assert claim is not None
    return verify(request(), claim, KEYS, datetime(2013, 5, 24, tzinfo=UTC))


def decode(decoder: ChunkedDecoder, body: bytes, step: int = 1 << 30) -> bytes:
    payload: list[bytes] = []
    for start in range(0, len(body), step):
        payload += decoder.feed(body[start : start + step])
    decoder.finish()
    return b"".join(payload)


def test_the_example_of_aws(verified: Verified) -> None:
    assert len(SIGNED) == 66824
    assert decode(ChunkedDecoder(ChunkSigner(verified)), SIGNED) == PAYLOAD


@pytest.mark.parametrize("step", [1, 7, 1000, 65536])
def test_however_it_is_cut(verified: Verified, step: int) -> None:
    assert decode(ChunkedDecoder(ChunkSigner(verified)), SIGNED, step) == PAYLOAD


@pytest.mark.parametrize("place", [30, 100, 65_000, 65_650, 66_000, 66_800])
def test_one_changed_byte_is_found(verified: Verified, place: int) -> None:
    body = SIGNED[:place] + b"b" + SIGNED[place + 1 :]
    with pytest.raises((ProtocolRefusal, RequestRefused)):
        decode(ChunkedDecoder(ChunkSigner(verified)), body)


def test_a_missing_end_is_found(verified: Verified) -> None:
    for size in (66_790, 66_700, 65_700, 10):
        with pytest.raises(RequestRefused, match="ended before"):
            decode(ChunkedDecoder(ChunkSigner(verified)), SIGNED[:size])


@given(st.binary(max_size=3000), st.integers(1, 700), st.integers(1, 50))
def test_the_frames_of_botocore(payload: bytes, chunk_size: int, step: int) -> None:
    wrapper = AwsChunkedWrapper(
        io.BytesIO(payload),
        checksum_cls=Crc32Checksum,
        checksum_name="x-amz-checksum-crc32",
        chunk_size=chunk_size,
    )
    decoder = ChunkedDecoder()
    assert decode(decoder, wrapper.read(), step) == payload
    assert decoder.trailers == {"x-amz-checksum-crc32": Crc32Checksum().handle(io.BytesIO(payload))}


def signed_trailer(verified: Verified, trailer: bytes) -> bytes:
    """As the Java and JavaScript SDKs send it over plain HTTP."""
    signer = ChunkSigner(verified)
    frames = [b"hello", b""]
    body = b""
    for data in frames:
        signature = signer.of_chunk(hashlib.sha256(data).hexdigest()).encode()
        body += b"%x;chunk-signature=%s\r\n" % (len(data), signature)
        body += data + b"\r\n" if data else b""
    body += trailer + b"\r\n"
    signature = signer.of_trailers(trailer + b"\n").encode()
    return body + b"x-amz-trailer-signature:" + signature + b"\r\n\r\n"


def test_signed_trailers(verified: Verified) -> None:
    body = signed_trailer(verified, b"x-amz-checksum-crc32:NhCmhg==")
    decoder = ChunkedDecoder(ChunkSigner(verified))
    assert decode(decoder, body, 3) == b"hello"
    assert decoder.trailers == {"x-amz-checksum-crc32": "NhCmhg=="}
    changed = body.replace(b"NhCmhg==", b"AAAAAA==")
    with pytest.raises(ProtocolRefusal, match="trailers"):
        decode(ChunkedDecoder(ChunkSigner(verified)), changed)


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense\r\n",
        b"5\r\nhelloXX",
        b"-1\r\nx",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"0\r\nno trailer\r\n\r\n",
        b"x" * 9000,
    ],
)
def test_malformed_frames(body: bytes) -> None:
    with pytest.raises(RequestRefused) as caught:
        decode(ChunkedDecoder(), body)
    assert caught.value.aws_code in ("InvalidRequest", "IncompleteBody")


def test_the_signing_key_of_the_example() -> None:
    claim = read_claim(request())
    assert claim is not None
    assert len(signing_key(KEYS.secret, claim.scope)) == 32
