"""What S3's operations share: errors in S3's words, ETags, conditions, ranges."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lakelet.model.ports import ObjectInfo
from lakelet.store.headers import Condition
from lakelet.wire.errors import RequestRefused
from lakelet.wire.protocol.values import format_timestamp

Request = dict[str, Any]
Answer = dict[str, Any]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_SECOND = timedelta(seconds=1)


def quoted(etag: str) -> str:
    return f'"{etag}"'


def conditions_of_write(request: Mapping[str, Any]) -> Condition:
    """If-None-Match: * and If-Match. Raises RequestRefused for forms that S3 has not."""
    absent = request.get("IfNoneMatch")
    if absent is not None and absent != "*":
        raise RequestRefused(
            "NotImplemented", "If-None-Match of a write takes only `*`.", http_status=501
        )
    wanted = request.get("IfMatch")
    return Condition(absent is not None, wanted.strip('"') if wanted else None)


def check_conditions(request: Mapping[str, Any], info: ObjectInfo, prefix: str = "") -> None:
    """The conditions of a read, in HTTP's order.

    Args:
        prefix: of the members' names: `CopySource` for the source of a copy.
    Raises:
        RequestRefused: PreconditionFailed 412, or NotModified 304.
    """
    if_match, if_none_match = request.get(f"{prefix}IfMatch"), request.get(f"{prefix}IfNoneMatch")
    since, until = (request.get(f"{prefix}If{name}Since") for name in ("Modified", "Unmodified"))
    if if_match is not None:
        if not _names(if_match, info):
            raise _failed("If-Match")
    elif until is not None and _after(info.modified_at, until):
        raise _failed("If-Unmodified-Since")
    if if_none_match is not None:
        if _names(if_none_match, info):
            raise _failed("If-None-Match") if prefix else _not_modified(info)
    elif since is not None and not _after(info.modified_at, since):
        raise _failed("If-Modified-Since") if prefix else _not_modified(info)


def _names(etags: str, info: ObjectInfo) -> bool:
    wanted = [part.strip().removeprefix("W/").strip('"') for part in etags.split(",")]
    return "*" in wanted or info.etag in wanted


def _after(modified_at: datetime, at: datetime) -> bool:
    """HTTP dates have whole seconds: the fraction they cut off must not count as later."""
    return modified_at - at >= _SECOND


def _failed(condition: str) -> RequestRefused:
    return RequestRefused(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold.",
        http_status=412,
        members={"Condition": condition},
    )


def _not_modified(info: ObjectInfo) -> RequestRefused:
    modified_at = format_timestamp(info.modified_at, "rfc822")
    return RequestRefused(
        "NotModified",
        "Not Modified",
        http_status=304,
        members={"etag": quoted(info.etag), "last-modified": modified_at},
    )


def byte_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """First byte and count of a Range; None for the whole: forms that S3 ignores, too.

    Raises RequestRefused (InvalidRange 416) where nothing of the object is in it.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        count = min(int(last), size_bytes)
        start = size_bytes - count
    else:
        start = int(first)
        end = min(int(last), size_bytes - 1) if last else size_bytes - 1
        if last and int(last) < start:
            return None
        count = end - start + 1
    if count <= 0:
        raise RequestRefused(
            "InvalidRange",
            "The requested range is not satisfiable",
            http_status=416,
            members={"RangeRequested": str(header), "ActualObjectSize": str(size_bytes)},
        )
    return start, count
