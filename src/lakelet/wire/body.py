"""A request's body, once it is in memory: is it what was signed, and what is inside?"""

import hashlib
import zlib

from lakelet.wire.errors import ProtocolRefusal, Refusal, RequestRefused
from lakelet.wire.http import too_large
from lakelet.wire.sigv4 import Verified, is_hash


def check_payload(body: bytes, verified: Verified) -> None:
    """Raises RequestRefused where a body is not the one whose hash was declared and signed.

    Only S3 declares; for other services the body's own hash is part of the signature.
    """
    signed = verified.declared_sha256
    if is_hash(signed) and hashlib.sha256(body).hexdigest() != signed:
        raise RequestRefused(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )


def inflate(body: bytes, content_encoding: str, size_bytes_max: int) -> bytes:
    """The body without its Content-Encoding: SDKs compress large PutMetricData requests.

    Raises:
        ProtocolRefusal: an encoding that no SDK uses, or a body that is not in it.
        RequestRefused: more than `size_bytes_max` inside.
    """
    if content_encoding in ("", "identity", "aws-chunked"):
        return body
    if content_encoding != "gzip":
        raise ProtocolRefusal(
            Refusal.SERIALIZATION, f"Content-Encoding {content_encoding!r} is not known here."
        )
    unpacker = zlib.decompressobj(wbits=31)
    try:
        inflated = unpacker.decompress(body, size_bytes_max + 1)
    except zlib.error as error:
        raise ProtocolRefusal(Refusal.SERIALIZATION, f"The body is no gzip: {error}.") from error
    if len(inflated) > size_bytes_max:
        raise too_large(len(inflated), size_bytes_max)
    if not unpacker.eof:
        raise ProtocolRefusal(Refusal.SERIALIZATION, "The gzip body ends too early.")
    return inflated
