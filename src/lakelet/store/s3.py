"""S3 itself, or whatever speaks its API, behind the same port.

For Lambda, Spark and deployment, and for a node whose stream delivers to real S3. It takes
a ready client: who makes it decides about credentials, region, endpoint and retries.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, BinaryIO, cast

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from lakelet.model.errors import (
    BucketNotFound,
    LakeletError,
    ObjectNotFound,
    Outcome,
    PreconditionFailed,
)
from lakelet.model.ports import Buffer, ObjectInfo

# Smaller objects go in one request, whose ETag is the MD5 that a local put would have.
# 10,000 parts, S3's limit, are 160 GB: more than any object of a lake.
PART_SIZE_BYTES = 16 << 20

_MISSING = {"NoSuchKey", "404", "NotFound"}
_PRECONDITION = {"PreconditionFailed", "412", "ConditionalRequestConflict"}


class S3Denied(LakeletError):
    """There are no credentials to ask with."""

    code = "store.s3_denied"


class S3Failed(LakeletError):
    """S3 answered with an error that is none of the port's own; 5xx may be tried again."""

    code = "store.s3_failed"

    def __init__(self, error: ClientError, bucket: str, key: str) -> None:
        self.s3_code = _code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or self.s3_code in ("SlowDown", "RequestTimeout"):
            self.outcome = Outcome.RETRY
        super().__init__(
            f"S3 refused {error.operation_name} of {key!r} in {bucket!r}: {error}",
            hint="The code in brackets is S3's own; its API reference explains it.",
        )


class S3Unreachable(LakeletError):
    """The request never reached S3."""

    code = "store.s3_unreachable"
    outcome = Outcome.RETRY


class S3Silent(LakeletError):
    """No answer came, or only half of one: whether it happened nobody knows."""

    code = "store.s3_silent"
    outcome = Outcome.UNKNOWN


class S3ObjectStore:
    """`FolderStore` over a boto3 S3 client. As many threads as the client allows."""

    def __init__(self, client: Any, *, location: str | None = None) -> None:
        """
        Args:
            location: of buckets to create; by default the client's region.
        """
        self._client = client
        self._location = location or client.meta.region_name

    # --- buckets ------------------------------------------------------------------

    def create_bucket(self, bucket: str) -> None:
        options: dict[str, Any] = {}
        if self._location not in (None, "us-east-1", "aws-global"):
            options["CreateBucketConfiguration"] = {"LocationConstraint": self._location}
        try:
            self._client.create_bucket(Bucket=bucket, **options)
        except ClientError as error:
            if _code(error) != "BucketAlreadyOwnedByYou":
                raise self._translated(error, bucket, "") from error
        except BotoCoreError as error:
            raise _unanswered(error) from error

    def list_buckets(self) -> list[str]:
        answer = self._call("", "", self._client.list_buckets)
        return sorted(bucket["Name"] for bucket in answer["Buckets"])

    # --- writing ------------------------------------------------------------------

    def put(
        self,
        bucket: str,
        key: str,
        body: Buffer,
        *,
        content_type: str = "binary/octet-stream",
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> ObjectInfo:
        """Raises BucketNotFound, PreconditionFailed, S3Failed, S3Unreachable, S3Silent."""
        headers = _headers(content_type, content_encoding, metadata)
        if only_if_absent:
            headers["IfNoneMatch"] = "*"
        data = body if isinstance(body, bytes) else bytes(body)
        answer = self._call(
            bucket, key, self._client.put_object, Bucket=bucket, Key=key, Body=data, **headers
        )
        return ObjectInfo(
            *(bucket, key, len(data), _etag(answer), _answered_at(answer)),
            *(content_type, content_encoding, dict(metadata or {})),
        )

    def writer(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = "binary/octet-stream",
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> "S3Writer":
        """One request for a small object, a multipart upload for a large one."""
        return S3Writer(self, bucket, key, content_type, content_encoding, metadata)

    def delete(self, bucket: str, key: str) -> None:
        self._call(bucket, key, self._client.delete_object, Bucket=bucket, Key=key)

    # --- reading ------------------------------------------------------------------

    def get(
        self, bucket: str, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> bytes:
        """What lies past the end is left out."""
        options: dict[str, str] = {}
        if size_bytes == 0:
            self.head(bucket, key)
            return b""
        if offset_bytes or size_bytes is not None:
            last = "" if size_bytes is None else str(offset_bytes + size_bytes - 1)
            options["Range"] = f"bytes={offset_bytes}-{last}"
        try:
            answer = self._call(
                bucket, key, self._client.get_object, Bucket=bucket, Key=key, **options
            )
            with contextlib.closing(answer["Body"]) as body:
                return cast("bytes", body.read())
        except S3Failed as error:
            if error.s3_code == "InvalidRange":
                return b""
            raise
        except BotoCoreError as error:
            raise _unanswered(error) from error

    def open(self, bucket: str, key: str) -> BinaryIO:
        """Forward only: it cannot seek."""
        answer = self._call(bucket, key, self._client.get_object, Bucket=bucket, Key=key)
        return cast("BinaryIO", io.BufferedReader(_BodyReader(answer["Body"]), 1 << 20))

    def head(self, bucket: str, key: str) -> ObjectInfo:
        answer = self._call(bucket, key, self._client.head_object, Bucket=bucket, Key=key)
        return ObjectInfo(
            *(bucket, key, answer["ContentLength"], _etag(answer)),
            answer["LastModified"].astimezone(UTC),
            answer.get("ContentType", "binary/octet-stream"),
            _content_encoding(answer),
            answer.get("Metadata", {}),
        )

    def list_folder(self, bucket: str, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        folders: list[str] = []
        objects: list[ObjectInfo] = []
        for page in self._pages(bucket, Prefix=prefix, Delimiter="/"):
            folders += [common["Prefix"] for common in page.get("CommonPrefixes", [])]
            objects += [_listed(bucket, item) for item in page.get("Contents", [])]
        return folders, objects

    def folder_changed_at_ns(self, bucket: str, prefix: str) -> int | None:  # noqa: ARG002
        return None  # S3 has no folders that could know

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        for page in self._pages(bucket, Prefix=prefix, StartAfter=start_after):
            for item in page.get("Contents", []):
                yield _listed(bucket, item)

    def _pages(self, bucket: str, **options: str) -> Iterator[dict[str, Any]]:
        given = {name: value for name, value in options.items() if value}
        while True:
            page = self._call(bucket, "", self._client.list_objects_v2, Bucket=bucket, **given)
            yield page
            if not page.get("IsTruncated"):
                return
            given["ContinuationToken"] = page["NextContinuationToken"]

    # --- errors -------------------------------------------------------------------

    def _call(self, bucket: str, key: str, call: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return call(**arguments)
        except ClientError as error:
            raise self._translated(error, bucket, key) from error
        except BotoCoreError as error:
            raise _unanswered(error) from error

    def _translated(self, error: ClientError, bucket: str, key: str) -> LakeletError:
        code = _code(error)
        if code == "NoSuchBucket" or (code in _MISSING and not key):
            return BucketNotFound(f"No bucket {bucket!r} in S3.", hint="Create it first.")
        if code in _MISSING:
            return self._missing(bucket, key)
        if code in _PRECONDITION:
            return PreconditionFailed(
                f"{key!r} is in {bucket!r} already, and was to be written only if absent.",
                hint="Choose another key, or write without the condition.",
            )
        return S3Failed(error, bucket, key)

    def _missing(self, bucket: str, key: str) -> LakeletError:
        """A HEAD's 404 has no body that would tell a missing key from a missing bucket."""
        try:
            self._client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if _code(error) in _MISSING | {"NoSuchBucket"}:
                return BucketNotFound(f"No bucket {bucket!r} in S3.", hint="Create it first.")
        return ObjectNotFound(f"No {key!r} in {bucket!r}.", hint=f"Look: aws s3 ls s3://{bucket}/")


class S3Writer:
    """Sends a part whenever one is full; nothing is visible before `commit`."""

    def __init__(
        self,
        store: S3ObjectStore,
        bucket: str,
        key: str,
        content_type: str,
        content_encoding: str | None,
        metadata: Mapping[str, str] | None,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._put_options: dict[str, Any] = {
            "content_type": content_type,
            "content_encoding": content_encoding,
            "metadata": metadata,
        }
        self._waiting = bytearray()
        self._upload_id = ""
        self._parts: list[dict[str, Any]] = []
        store._call(bucket, "", store._client.head_bucket, Bucket=bucket)

    def write(self, data: Buffer) -> int:
        view = memoryview(data).cast("B")
        self._waiting += view
        while len(self._waiting) >= 2 * PART_SIZE_BYTES:
            self._send_part(PART_SIZE_BYTES)
        return len(view)

    def commit(self) -> ObjectInfo:
        if not self._upload_id:
            return self._store.put(
                self._bucket, self._key, bytes(self._waiting), **self._put_options
            )
        self._send_part(len(self._waiting))
        self._call(
            self._store._client.complete_multipart_upload,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": self._parts},
        )
        self._upload_id = ""
        return self._store.head(self._bucket, self._key)

    def abort(self) -> None:
        """What was sent is thrown away; else S3 would keep, and bill, the parts."""
        self._waiting.clear()
        if self._upload_id:
            upload_id, self._upload_id = self._upload_id, ""
            self._call(self._store._client.abort_multipart_upload, UploadId=upload_id)

    def _send_part(self, size_bytes: int) -> None:
        if not self._upload_id:
            answer = self._call(
                self._store._client.create_multipart_upload, **_headers(**self._put_options)
            )
            self._upload_id = answer["UploadId"]
        number = len(self._parts) + 1
        answer = self._call(
            self._store._client.upload_part,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=bytes(self._waiting[:size_bytes]),
        )
        del self._waiting[:size_bytes]
        checksums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        checksums.pop("ChecksumType", None)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksums})

    def _call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._store._call(
            self._bucket, self._key, call, Bucket=self._bucket, Key=self._key, **arguments
        )

    def __enter__(self) -> "S3Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()


class _BodyReader(io.RawIOBase):
    """botocore's StreamingBody as a raw stream that `io` can buffer."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._body.read(len(view))
        except BotoCoreError as error:
            raise _unanswered(error) from error
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._body.close()
        super().close()


def _headers(
    content_type: str, content_encoding: str | None, metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    headers: dict[str, Any] = {"ContentType": content_type}
    if content_encoding:
        headers["ContentEncoding"] = content_encoding
    if metadata:
        headers["Metadata"] = dict(metadata)
    return headers


def _listed(bucket: str, item: Mapping[str, Any]) -> ObjectInfo:
    modified_at = item["LastModified"].astimezone(UTC)
    return ObjectInfo(bucket, item["Key"], item["Size"], _etag(item), modified_at)


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer["ETag"]).strip('"')


def _content_encoding(answer: Mapping[str, Any]) -> str | None:
    """botocore sends `aws-chunked` along, and some emulators keep it."""
    named = [part.strip() for part in answer.get("ContentEncoding", "").split(",")]
    return ",".join(part for part in named if part not in ("", "aws-chunked")) or None


def _answered_at(answer: Mapping[str, Any]) -> datetime:
    """S3 answers a put without Last-Modified; its Date is the same instant, to a second."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date).astimezone(UTC) if date else datetime.now(UTC)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _unanswered(error: BotoCoreError) -> LakeletError:
    never_sent = (EndpointConnectionError, ConnectTimeoutError)
    if isinstance(error, never_sent):
        return S3Unreachable(f"S3 cannot be reached: {error}", hint="Check the endpoint.")
    if isinstance(error, NoCredentialsError):
        return S3Denied(f"{error}.", hint="Give credentials, e.g. AWS_PROFILE, or a role.")
    return S3Silent(f"S3 did not answer: {error}", hint="Look whether it happened, then retry.")
