"""Multipart uploads."""

import asyncio

from lakelet.store.disk import DiskObjectStore
from lakelet.store.uploads import MultipartUploads, Part, Upload
from lakelet.wire.payload import BLOCK_SIZE_BYTES, BodyStream
from lakelet.wire.s3.answers import (
    Answer,
    Request,
    byte_range,
    check_conditions,
    conditions_of_write,
    quoted,
)
from lakelet.wire.s3.buckets import OWNER
from lakelet.wire.s3.listing import KEY_COUNT_MAX
from lakelet.wire.s3.objects import checksums, headers_of, source_of
from lakelet.wire.service import RequestContext


class Multipart:
    """One method an operation."""

    def __init__(self, store: DiskObjectStore, uploads: MultipartUploads) -> None:
        self._store = store
        self._uploads = uploads

    def create_multipart_upload(self, request: Request, context: RequestContext) -> Answer:
        bucket, key, headers = request["Bucket"], request["Key"], headers_of(request)
        upload = self._uploads.create(bucket, key, headers)
        return {"Bucket": bucket, "Key": key, "UploadId": upload.id}

    async def upload_part(self, request: Request, context: RequestContext) -> Answer:
        body: BodyStream = request["Body"]
        upload = await asyncio.to_thread(self._upload, request)
        draft = await asyncio.to_thread(self._uploads.draft, upload)
        try:
            await body.pour(draft.write)
            number = request["PartNumber"]
            part = await asyncio.to_thread(self._uploads.keep_part, upload, number, draft)
        finally:
            draft.discard()
        return {"ETag": quoted(part.etag), **checksums(body)}

    def upload_part_copy(self, request: Request, context: RequestContext) -> Answer:
        part = self._copy_part(request, self._upload(request))
        return {"CopyPartResult": {"ETag": quoted(part.etag), "LastModified": part.modified_at}}

    def _copy_part(self, request: Request, upload: Upload) -> Part:
        source, info = self._store.open_with_info(*source_of(request["CopySource"]))
        with source:
            check_conditions(request, info, "CopySource")
            part = byte_range(request.get("CopySourceRange"), info.size_bytes)
            start, count = part or (0, info.size_bytes)
            source.seek(start)
            draft = self._uploads.draft(upload)
            try:
                while count:
                    block = source.read(min(count, BLOCK_SIZE_BYTES))
                    if not block:
                        raise OSError("the source became shorter while it was read")
                    count -= draft.write(block)
                return self._uploads.keep_part(upload, request["PartNumber"], draft)
            finally:
                draft.discard()

    def complete_multipart_upload(self, request: Request, context: RequestContext) -> Answer:
        upload = self._upload(request)
        listed = request.get("MultipartUpload", {}).get("Parts", [])
        wanted = [(part.get("PartNumber", 0), part.get("ETag", "")) for part in listed]
        info = self._uploads.complete(upload, wanted, conditions_of_write(request))
        return {
            "Location": f"{context.endpoint}/{info.bucket}/{info.key}",
            "Bucket": info.bucket,
            "Key": info.key,
            "ETag": quoted(info.etag),
        }

    def abort_multipart_upload(self, request: Request, context: RequestContext) -> Answer:
        upload = self._upload(request)
        self._uploads.abort(upload)
        return {}

    def list_parts(self, request: Request, context: RequestContext) -> Answer:
        upload = self._upload(request)
        parts = self._uploads.parts(upload)
        after, count = request.get("PartNumberMarker", 0), request.get("MaxParts", KEY_COUNT_MAX)
        following = [part for part in parts if part.number > int(after)]
        page = following[: min(count, KEY_COUNT_MAX)]
        return {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.id,
            "PartNumberMarker": int(after),
            "NextPartNumberMarker": page[-1].number if page else int(after),
            "MaxParts": count,
            "IsTruncated": len(page) < len(following),
            "Parts": [
                {
                    "PartNumber": part.number,
                    "LastModified": part.modified_at,
                    "ETag": quoted(part.etag),
                    "Size": part.size_bytes,
                }
                for part in page
            ],
            "Initiator": OWNER,
            "Owner": OWNER,
            "StorageClass": "STANDARD",
        }

    def list_multipart_uploads(self, request: Request, context: RequestContext) -> Answer:
        bucket, prefix = request["Bucket"], request.get("Prefix", "")
        self._store.bucket_created_at(bucket)
        found = self._uploads.of_bucket(bucket, prefix)
        after = (request.get("KeyMarker", ""), request.get("UploadIdMarker", ""))
        following = [u for u in found if (u.key, u.id if after[1] else "") > after]
        page = following[: min(request.get("MaxUploads", KEY_COUNT_MAX), KEY_COUNT_MAX)]
        is_truncated = len(page) < len(following) and bool(page)
        return {
            "Bucket": bucket,
            "Prefix": prefix,
            "IsTruncated": is_truncated,
            "NextKeyMarker": page[-1].key if is_truncated else None,
            "NextUploadIdMarker": page[-1].id if is_truncated else None,
            "MaxUploads": request.get("MaxUploads", KEY_COUNT_MAX),
            "Uploads": [
                {
                    "UploadId": upload.id,
                    "Key": upload.key,
                    "Initiated": upload.initiated_at,
                    "StorageClass": "STANDARD",
                    "Owner": OWNER,
                    "Initiator": OWNER,
                }
                for upload in page
            ],
        }

    def _upload(self, request: Request) -> Upload:
        return self._uploads.get(request["UploadId"], request["Bucket"], request["Key"])
