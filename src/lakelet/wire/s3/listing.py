"""Listings: versions 1 and 2, one page at a time, read from disk no further than the page."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lakelet.model.ports import ObjectInfo
from lakelet.store.disk import DiskObjectStore
from lakelet.wire.errors import RequestRefused
from lakelet.wire.protocol.rest_xml import encode_key
from lakelet.wire.s3.answers import Answer, Request, quoted
from lakelet.wire.s3.buckets import OWNER
from lakelet.wire.service import RequestContext

KEY_COUNT_MAX = 1000

# Sorts after every key below a common prefix: going on from there skips them all.
_LAST = "\U0010ffff"

Entry = str | ObjectInfo  # a common prefix, or an object


@dataclass(frozen=True, slots=True)
class Page:
    entries: list[Entry]
    is_truncated: bool

    @property
    def last(self) -> str:
        """The key or prefix to go on after; "" for an empty page."""
        if not self.entries:
            return ""
        entry = self.entries[-1]
        return entry if isinstance(entry, str) else entry.key


class Listing:
    """One method an operation."""

    def __init__(self, store: DiskObjectStore) -> None:
        self._store = store

    def list_objects_v2(self, request: Request, context: RequestContext) -> Answer:
        token = request.get("ContinuationToken")
        after = _decode_token(token) if token else request.get("StartAfter", "")
        page = self._page(request, after)
        answer = _common(request, page)
        answer["KeyCount"] = len(page.entries)
        answer["ContinuationToken"] = token
        answer["StartAfter"] = _shown(request, request.get("StartAfter"))
        if page.is_truncated:
            answer["NextContinuationToken"] = _encode_token(page.entries[-1])
        if not request.get("FetchOwner"):
            for item in answer["Contents"]:
                del item["Owner"]
        return answer

    def list_objects(self, request: Request, context: RequestContext) -> Answer:
        marker, delimiter = request.get("Marker", ""), request.get("Delimiter", "")
        is_prefix = bool(delimiter) and marker.endswith(delimiter)
        page = self._page(request, marker + _LAST if is_prefix else marker)
        answer = _common(request, page)
        answer["Marker"] = _shown(request, marker)
        if page.is_truncated and delimiter:  # without one, the last key is the next marker
            answer["NextMarker"] = _shown(request, page.last)
        return answer

    def _page(self, request: Request, after: str) -> Page:
        bucket, prefix = request["Bucket"], request.get("Prefix", "")
        delimiter, count = request.get("Delimiter", ""), _count(request)
        entries: Iterator[Entry]
        if delimiter == "/":
            entries = self._store.folder_entries(bucket, prefix, start_after=after)
        elif delimiter:
            objects = self._store.list(bucket, prefix, start_after=after)
            entries = _grouped(objects, prefix, delimiter, after)
        else:
            entries = self._store.list(bucket, prefix, start_after=after)
        found = list(islice(entries, count + 1))
        return Page(found[:count], len(found) > count > 0)


def _grouped(
    objects: Iterable[ObjectInfo], prefix: str, delimiter: str, after: str
) -> Iterator[Entry]:
    """Objects, with those that share what comes before the delimiter as one prefix."""
    last = ""
    for info in objects:
        head, found, _ = info.key[len(prefix) :].partition(delimiter)
        common = f"{prefix}{head}{delimiter}"
        if not found:
            yield info
        elif common != last and not after.startswith(common + _LAST):
            last = common
            yield common


def _common(request: Request, page: Page) -> Answer:
    return {
        "Name": request["Bucket"],
        "Prefix": _shown(request, request.get("Prefix", "")),
        "Delimiter": _shown(request, request.get("Delimiter")),
        "EncodingType": request.get("EncodingType"),
        "MaxKeys": _count(request),
        "IsTruncated": page.is_truncated,
        "Contents": [_item(request, e) for e in page.entries if not isinstance(e, str)],
        "CommonPrefixes": [
            {"Prefix": _shown(request, entry)} for entry in page.entries if isinstance(entry, str)
        ],
    }


def _item(request: Request, info: ObjectInfo) -> dict[str, Any]:
    return {
        "Key": _shown(request, info.key),
        "LastModified": info.modified_at,
        "ETag": quoted(info.etag),
        "Size": info.size_bytes,
        "StorageClass": "STANDARD",
        "Owner": OWNER,
    }


def _shown(request: Request, key: str | None) -> str | None:
    return encode_key(key) if key and request.get("EncodingType") == "url" else key


def _count(request: Request) -> int:
    count: int = request.get("MaxKeys", KEY_COUNT_MAX)
    if count < 0:
        raise RequestRefused(
            "InvalidArgument", "Argument max-keys must be an integer between 0 and 2147483647"
        )
    return min(count, KEY_COUNT_MAX)


def _encode_token(entry: Entry) -> str:
    after = entry + _LAST if isinstance(entry, str) else entry.key
    return base64.urlsafe_b64encode(after.encode()).decode()


def _decode_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise RequestRefused(
            "InvalidArgument", "The continuation token provided is incorrect"
        ) from error
