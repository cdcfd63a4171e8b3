"""Who may send, from where, how often. Pure but for the buckets' own memory."""

import base64
import binascii
import hashlib
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from lakelet.collector.errors import OriginRefused, TooManyRequests, WriteKeyInvalid
from lakelet.collector.http import Request
from lakelet.collector.settings import RateLimit
from lakelet.model.ports import Clock

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

KEY_HEADER = "x-write-key"
KEY_PARAMETER = "write_key"


# --- write keys -------------------------------------------------------------------


class WriteKeys:
    """Keys by digest: looking one up tells a listener nothing of how near a guess was."""

    def __init__(self, keys: Mapping[str, str], default_stream: str) -> None:
        self._streams = {_digest(key): stream or default_stream for key, stream in keys.items()}
        self._default_stream = default_stream

    def stream_for(self, key: str | None) -> str:
        """The stream a key writes to. Raises WriteKeyInvalid."""
        if not self._streams:
            return self._default_stream
        stream = self._streams.get(_digest(key or ""))
        if stream is None:
            raise WriteKeyInvalid(
                "the write key is missing or not known",
                hint=f"Send it as the header {KEY_HEADER}, as ?{KEY_PARAMETER}=, "
                "or as the user name of basic authentication.",
            )
        return stream


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def find_write_key(request: Request) -> str | None:
    """The header's key, else the query's, else basic authentication's user name."""
    if key := request.headers.get(KEY_HEADER):
        return key
    query = parse_qsl(request.query.decode("latin-1"))
    if key := next((value for name, value in query if name == KEY_PARAMETER and value), None):
        return key
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, _ = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user or None


# --- origins ----------------------------------------------------------------------


def check_origin(request: Request, origins: Sequence[str]) -> str | None:
    """The origin whose page may read the answer; None where no browser asks.

    CORS alone would only keep a foreign page from *reading*: its events would
    still be counted. So an unknown origin is refused outright.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return None
    if "*" in origins or origin in origins:
        return origin
    if origin != "null" and urlsplit(origin).netloc == request.headers.get("host"):
        return origin
    raise OriginRefused(
        f"pages of {origin} may not send here",
        hint="Add it to the collector's origins.",
    )


def cors_headers(origin: str | None) -> dict[str, str]:
    if origin is None:
        return {}
    return {
        "access-control-allow-origin": origin,
        # sendBeacon asks with credentials, whether or not there are any.
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "retry-after",
        "vary": "origin",
    }


PREFLIGHT_HEADERS = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-encoding, content-type, "
    f"{KEY_HEADER}, x-retry-count",
    "access-control-max-age": "86400",
}


# --- addresses --------------------------------------------------------------------


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError for what is no address or network."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def client_address(request: Request, trusted: Sequence[Network]) -> str:
    """Whose request it is: the last hop that no trusted proxy vouches for.

    X-Forwarded-For is read from its right end, where our own proxies write; what
    stands further left than the first stranger was written by that stranger.
    """
    address = request.peer
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",")]
    while hops and _is_trusted(address, trusted):
        hop = hops.pop()
        if _parse_address(hop) is None:
            break
        address = hop
    return address


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    parsed = _parse_address(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def bucket_of(address: str) -> str:
    """One bucket for an IPv4 address or an IPv6 /64: a home has 2**64 of the latter."""
    parsed = _parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or address)


# --- rates ------------------------------------------------------------------------


class TokenBuckets:
    """Token buckets by name, the least recently used forgotten beyond `count_max`.

    A forgotten bucket starts full again: whoever can come from more than
    `count_max` addresses can outrun the limit, but not the memory.
    """

    def __init__(self, limit: RateLimit, clock: Clock, count_max: int) -> None:
        self._limit = limit
        self._clock = clock
        self._count_max = count_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, at

    def take(self, name: str) -> None:
        """One token. Raises TooManyRequests."""
        now = self._clock.monotonic()
        tokens, at = self._buckets.pop(name, (float(self._limit.burst), now))
        tokens = min(self._limit.burst, tokens + (now - at) * self._limit.per_second)
        refused = tokens < 1
        self._buckets[name] = (tokens if refused else tokens - 1, now)
        if len(self._buckets) > self._count_max:
            self._buckets.popitem(last=False)
        if refused:
            raise TooManyRequests(
                f"more than {self._limit.per_second:g} requests a second",
                retry_after_seconds=math.ceil((1 - tokens) / self._limit.per_second),
                hint="Send more events a request, and wait as Retry-After says.",
            )

    @property
    def count(self) -> int:
        return len(self._buckets)
