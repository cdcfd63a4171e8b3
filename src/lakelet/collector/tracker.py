"""The tracker script and the pixel: the two files this door serves."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from lakelet.collector.http import Request, Response

PATH = "/v1/lakelet.js"
PIXEL_PATH = "/v1/pixel.gif"

# The smallest transparent GIF: 1 x 1, two colours, 43 bytes (GIF89a).
PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002014400003b"
)


@cache
def script() -> tuple[bytes, str]:
    """The minified tracker and its ETag."""
    folder = resources.files("lakelet.collector").joinpath("tracker")
    text = folder.joinpath("lakelet.min.js").read_bytes()
    return text, f'"{hashlib.sha256(text).hexdigest()[:16]}"'


def respond(request: Request, *, cache_seconds: int) -> Response:
    text, etag = script()
    headers = {
        "etag": etag,
        "cache-control": f"public, max-age={cache_seconds}",
        # Pages that isolate themselves (COEP) may load it from here all the same.
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }
    known = [
        tag.strip().removeprefix("W/")
        for tag in request.headers.get("if-none-match", "").split(",")
    ]
    if etag in known or known == ["*"]:
        return Response(304, b"", headers)
    return Response(200, text, {"content-type": "text/javascript; charset=utf-8", **headers})


def pixel(status: int, more: Mapping[str, str] | None = None) -> Response:
    """`more`: headers of what is told with it, such as Retry-After."""
    headers = {
        "content-type": "image/gif",
        "cache-control": "no-store",
        "cross-origin-resource-policy": "cross-origin",
    }
    return Response(status, PIXEL, {**(more or {}), **headers})
