"""Objects: put, get, head, copy, delete, tags."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import BinaryIO
from urllib.parse import unquote

from lakelet.model.ports import ObjectInfo
from lakelet.store.disk import DiskObjectStore
from lakelet.store.headers import Headers
from lakelet.wire.errors import RequestRefused
from lakelet.wire.http import query_pairs
from lakelet.wire.payload import BLOCK_SIZE_BYTES, BodyStream
from lakelet.wire.protocol.values import format_timestamp
from lakelet.wire.s3.answers import (
    Answer,
    Request,
    byte_range,
    check_conditions,
    conditions_of_write,
    quoted,
)
from lakelet.wire.service import RequestContext

# When an object will go, and by which rule: what x-amz-expiration tells.
Expiration = Callable[[ObjectInfo], tuple[datetime, str] | None]


def never_expires(_info: ObjectInfo) -> None:
    return None


DELETE_COUNT_MAX = 1000
_TAG_COUNT_MAX = 10
_CHECKSUM_MEMBERS = {
    "crc32": "ChecksumCRC32",
    "crc32c": "ChecksumCRC32C",
    "crc64nvme": "ChecksumCRC64NVME",
    "sha1": "ChecksumSHA1",
    "sha256": "ChecksumSHA256",
    "sha512": "ChecksumSHA512",
    "md5": "ChecksumMD5",
}
# Headers that are kept and given back as they came, by their names there.
_FURTHER = {
    "CacheControl": "cache-control",
    "ContentDisposition": "content-disposition",
    "ContentLanguage": "content-language",
}
_OVERRIDES = ("ContentType", "ContentEncoding", *_FURTHER)


class Objects:
    """One method an operation."""

    def __init__(self, store: DiskObjectStore, expiration: Expiration) -> None:
        self._store = store
        self._expiration = expiration

    # --- writing ------------------------------------------------------------------

    async def put_object(self, request: Request, context: RequestContext) -> Answer:
        body: BodyStream = request["Body"]
        condition = conditions_of_write(request)
        bucket, key, headers = request["Bucket"], request["Key"], headers_of(request)
        writer = await asyncio.to_thread(self._store.writer_of, bucket, key, headers)
        try:
            await body.pour(writer.write)
            info = await asyncio.to_thread(writer.commit, condition)
        finally:
            writer.abort()
        return {"ETag": quoted(info.etag), **checksums(body), **self._expires(info)}

    def copy_object(self, request: Request, context: RequestContext) -> Answer:
        source_bucket, source_key = source_of(request["CopySource"])
        source, info = self._store.open_with_info(source_bucket, source_key)
        with source:
            check_conditions(request, info, "CopySource")
            headers = self._headers_of_copy(request, info)
            target = (request["Bucket"], request["Key"])
            with self._store.writer_of(*target, headers) as writer:
                for block in iter(partial(source.read, BLOCK_SIZE_BYTES), b""):
                    writer.write(block)
                made = writer.commit(conditions_of_write(request))
        result = {"ETag": quoted(made.etag), "LastModified": made.modified_at}
        return {"CopyObjectResult": result, **self._expires(made)}

    def _headers_of_copy(self, request: Request, source: ObjectInfo) -> Headers:
        given, kept = headers_of(request), self._store.headers(source.bucket, source.key)
        replaces = request.get("MetadataDirective", "COPY") == "REPLACE"
        if (source.bucket, source.key) == (request["Bucket"], request["Key"]) and not replaces:
            raise RequestRefused(
                "InvalidRequest",
                "This copy request is illegal because it is trying to copy an object to itself "
                "without changing the object's metadata.",
            )
        copies_tags = request.get("TaggingDirective", "COPY") == "COPY"
        return replace(given if replaces else kept, tags=(kept if copies_tags else given).tags)

    def delete_object(self, request: Request, context: RequestContext) -> Answer:
        bucket, key = request["Bucket"], request["Key"]
        if "IfMatch" in request:
            check_conditions(request, self._store.head(bucket, key))
        self._store.delete(bucket, key)
        return {}

    def delete_objects(self, request: Request, context: RequestContext) -> Answer:
        wanted = request["Delete"]
        keys = [item["Key"] for item in wanted["Objects"]]
        if len(keys) > DELETE_COUNT_MAX:
            raise RequestRefused(
                "MalformedXML", f"At most {DELETE_COUNT_MAX} objects are deleted in one request."
            )
        self._store.delete_many(request["Bucket"], keys)
        return {} if wanted.get("Quiet") else {"Deleted": [{"Key": key} for key in keys]}

    # --- reading ------------------------------------------------------------------

    def get_object(self, request: Request, context: RequestContext) -> Answer:
        source, info = self._store.open_with_info(request["Bucket"], request["Key"])
        try:
            check_conditions(request, info)
            part = byte_range(request.get("Range"), info.size_bytes)
        except BaseException:
            source.close()
            raise
        start, count = part or (0, info.size_bytes)
        source.seek(start)
        answer = {**self._described(request, info), "ContentLength": count}
        if part:
            answer["ContentRange"] = f"bytes {start}-{start + count - 1}/{info.size_bytes}"
        if count <= BLOCK_SIZE_BYTES:  # most objects: no need to come back for more
            with source:
                return {**answer, "Body": source.read(count)}
        return {**answer, "Body": _read_in_blocks(source, count)}

    def head_object(self, request: Request, context: RequestContext) -> Answer:
        info = self._store.head(request["Bucket"], request["Key"])
        check_conditions(request, info)
        part = byte_range(request.get("Range"), info.size_bytes)
        answer = {**self._described(request, info), "ContentLength": info.size_bytes}
        if part:
            start, count = part
            content_range = f"bytes {start}-{start + count - 1}/{info.size_bytes}"
            answer |= {"ContentLength": count, "ContentRange": content_range}
        return answer

    def _described(self, request: Request, info: ObjectInfo) -> Answer:
        kept = self._store.headers(info.bucket, info.key)
        answer: Answer = {
            "ETag": quoted(info.etag),
            "LastModified": info.modified_at,
            "ContentType": info.content_type,
            "ContentEncoding": info.content_encoding,
            "AcceptRanges": "bytes",
            "Metadata": dict(info.metadata),
            "TagCount": len(kept.tags) or None,
            **{member: kept.further.get(name) for member, name in _FURTHER.items()},
            **self._expires(info),
        }
        for name in _OVERRIDES:
            if override := request.get(f"Response{name}"):
                answer[name] = override
        return answer

    def _expires(self, info: ObjectInfo) -> Answer:
        found = self._expiration(info)
        if found is None:
            return {}
        at, rule_id = found
        return {
            "Expiration": f'expiry-date="{format_timestamp(at, "rfc822")}", rule-id="{rule_id}"'
        }

    # --- tags ---------------------------------------------------------------------

    def get_object_tagging(self, request: Request, context: RequestContext) -> Answer:
        tags = self._store.tags(request["Bucket"], request["Key"])
        return {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}

    def put_object_tagging(self, request: Request, context: RequestContext) -> Answer:
        tags = {tag["Key"]: tag["Value"] for tag in request["Tagging"]["TagSet"]}
        self._store.set_tags(request["Bucket"], request["Key"], checked_tags(tags))
        return {}

    def delete_object_tagging(self, request: Request, context: RequestContext) -> Answer:
        self._store.set_tags(request["Bucket"], request["Key"], {})
        return {}


def headers_of(request: Request) -> Headers:
    """What a write says of its object."""
    encodings = [part.strip() for part in request.get("ContentEncoding", "").split(",")]
    kept = ",".join(part for part in encodings if part not in ("", "aws-chunked"))
    tags = dict(query_pairs(request.get("Tagging", ""), plus_is_space=True))
    return Headers(
        request.get("ContentType", "binary/octet-stream"),
        kept or None,
        request.get("Metadata", {}),
        checked_tags(tags),
        {name: request[member] for member, name in _FURTHER.items() if member in request},
    )


def checked_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > _TAG_COUNT_MAX:
        raise RequestRefused("BadRequest", f"Object tags cannot be greater than {_TAG_COUNT_MAX}")
    return tags


def source_of(copy_source: str) -> tuple[str, str]:
    """`/bucket/key?versionId=null`, percent-encoded, to bucket and key."""
    path, _, version = copy_source.partition("?versionId=")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    if not slash or not key or version not in ("", "null"):
        raise RequestRefused(
            "InvalidArgument", f"Copy Source must mention the source bucket and key: {copy_source}"
        )
    return bucket, key


def checksums(body: BodyStream) -> Answer:
    """Those that held, said again as S3 does."""
    return {_CHECKSUM_MEMBERS[name]: value for name, value in body.checked.items()}


async def _read_in_blocks(source: BinaryIO, count: int) -> AsyncIterator[bytes]:
    try:
        while count:
            block = await asyncio.to_thread(source.read, min(count, BLOCK_SIZE_BYTES))
            if not block:
                raise OSError("the object became shorter while it was read")
            count -= len(block)
            yield block
    finally:
        source.close()
