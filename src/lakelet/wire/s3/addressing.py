"""Which bucket and key does an address name, in path or virtual-host style?"""

from dataclasses import dataclass

from lakelet.wire.http import HttpRequest, percent_decode


@dataclass(frozen=True, slots=True)
class Address:
    """What a path and a host name together say."""

    bucket: str = ""
    key: str = ""


def address_of(request: HttpRequest) -> Address:
    """Path style, and virtual-host style: `<bucket>.s3.<anything>` or `<bucket>.localhost`."""
    path = request.raw_path.removeprefix("/")
    bucket = _bucket_in_host(request.host)
    if bucket:
        return Address(bucket, percent_decode(path))
    bucket, _, key = path.partition("/")
    return Address(percent_decode(bucket), percent_decode(key))


def _bucket_in_host(host: str) -> str:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    for marker in (".s3.", ".s3-"):
        bucket, found, _ = name.partition(marker)
        if found:
            return bucket
    bucket = name.removesuffix(".localhost")
    return bucket if bucket != name and bucket != "s3" and not bucket.startswith("s3.") else ""
