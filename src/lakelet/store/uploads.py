"""Multipart uploads: parts kept aside until they are joined into one object.

<private>/uploads/<upload id>/upload.json
                             /00001-<md5 of the part>
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakelet.model.errors import LakeletError
from lakelet.model.ports import ObjectInfo
from lakelet.store.disk import DiskObjectStore
from lakelet.store.drafts import Draft
from lakelet.store.headers import ANYWAY, Condition, Headers
from lakelet.store.places import sync_folder

PART_NUMBER_MAX = 10_000  # S3's limits
PART_SIZE_BYTES_MIN = 5 << 20  # of every part but the last

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"(\d{5})-([0-9a-f]{32})")


class UploadNotFound(LakeletError):
    code = "store.no_such_upload"
    aws_code = "NoSuchUpload"
    http_status = 404


class PartRefused(LakeletError):
    """A part that cannot be one, or parts that do not make an object."""

    code = "store.part_refused"
    http_status = 400

    def __init__(self, aws_code: str, message: str) -> None:
        super().__init__(message, hint="Send the part again, or abort the upload.")
        self.aws_code = aws_code


@dataclass(frozen=True, slots=True)
class Upload:
    """One that has begun."""

    id: str
    bucket: str
    key: str
    headers: Headers
    initiated_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    etag: str
    size_bytes: int
    modified_at: datetime
    path: Path


class MultipartUploads:
    """The uploads of one store. Any thread, any process."""

    def __init__(self, store: DiskObjectStore) -> None:
        self._store = store
        self._folder = store.private_folder / "uploads"

    def create(self, bucket: str, key: str, headers: Headers) -> Upload:
        """Raises BucketNotFound, KeyRefused."""
        self._store.check_target(bucket, key)
        upload = Upload(secrets.token_hex(16), bucket, key, headers, self._store.clock.now())
        folder = self._folder / upload.id
        folder.mkdir(parents=True)
        (folder / "upload.json").write_text(_encode(upload), "utf-8")
        return upload

    def get(self, upload_id: str, bucket: str, key: str) -> Upload:
        """Raises UploadNotFound; also where the upload is of another object."""
        if _UPLOAD_ID.fullmatch(upload_id):
            with contextlib.suppress(FileNotFoundError):
                text = (self._folder / upload_id / "upload.json").read_text("utf-8")
                upload = _decode(upload_id, text)
                if (upload.bucket, upload.key) == (bucket, key):
                    return upload
        raise UploadNotFound(
            "The specified upload does not exist. The upload ID may be invalid, or the upload may "
            "have been aborted or completed.",
            hint="Begin a new one.",
        )

    def of_bucket(self, bucket: str, prefix: str = "") -> list[Upload]:
        """By key, then by age."""
        found = [upload for upload in self._all() if upload.bucket == bucket]
        matching = [upload for upload in found if upload.key.startswith(prefix)]
        return sorted(matching, key=lambda upload: (upload.key, upload.initiated_at))

    def _all(self) -> Iterator[Upload]:
        if not self._folder.is_dir():
            return
        for folder in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError, ValueError):
                yield _decode(folder.name, (folder / "upload.json").read_text("utf-8"))

    # --- parts --------------------------------------------------------------------

    def draft(self, upload: Upload) -> Draft:
        """A part in the making."""
        return self._store.draft(upload.bucket, upload.key)

    def keep_part(self, upload: Upload, number: int, draft: Draft) -> Part:
        """Seal a draft as a part; an earlier one of the same number is replaced."""
        if not 1 <= number <= PART_NUMBER_MAX:
            raise PartRefused(
                "InvalidArgument", f"Part number must be from 1 to {PART_NUMBER_MAX}: {number}."
            )
        now = self._store.clock.now()
        draft.seal(modified_at=now)
        folder = self._folder / upload.id
        target = folder / f"{number:05d}-{draft.md5_hex}"
        earlier = [part.path for part in self.parts(upload) if part.number == number]
        try:
            Path(draft.path).replace(target)
        except FileNotFoundError:
            raise UploadNotFound("The upload was aborted meanwhile.", hint="Begin anew.") from None
        for path in earlier:
            if path != target:
                path.unlink(missing_ok=True)
        sync_folder(str(folder))
        return Part(number, draft.md5_hex, draft.size_bytes, now, target)

    def parts(self, upload: Upload) -> list[Part]:
        """By number."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder / upload.id) as names:
            for entry in names:
                if named := _PART.fullmatch(entry.name):
                    info = entry.stat()
                    at = datetime.fromtimestamp(info.st_mtime, UTC)
                    path = Path(entry.path)
                    found.append(Part(int(named[1]), named[2], info.st_size, at, path))
        return sorted(found, key=lambda part: part.number)

    # --- the end ------------------------------------------------------------------

    def complete(
        self, upload: Upload, wanted: Sequence[tuple[int, str]], condition: Condition = ANYWAY
    ) -> ObjectInfo:
        """Join the wanted parts, (number, ETag) in order, into the object.

        Raises:
            PartRefused; PreconditionFailed; StorageFull. The parts are kept then.
        """
        parts = _chosen(self.parts(upload), wanted)
        digests = b"".join(bytes.fromhex(part.etag) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        draft = self.draft(upload)
        try:
            for part in parts:
                draft.append_file(str(part.path))
            made = self._store.publish(
                draft, upload.bucket, upload.key, upload.headers, etag=etag, condition=condition
            )
        finally:
            draft.discard()
        self.abort(upload)
        return made

    def abort_begun_before(self, at: datetime) -> int:
        """What S3 does by AbortIncompleteMultipartUpload; how many there were."""
        old = [upload for upload in self._all() if upload.initiated_at < at]
        for upload in old:
            self.abort(upload)
        return len(old)

    def abort(self, upload: Upload) -> None:
        """Nothing stays of it. Nothing happens to one that has gone."""
        shutil.rmtree(self._folder / upload.id, ignore_errors=True)


def _chosen(kept: list[Part], wanted: Sequence[tuple[int, str]]) -> list[Part]:
    numbers = [number for number, _ in wanted]
    if not numbers:
        raise PartRefused("MalformedXML", "An upload is completed with at least one part.")
    if numbers != sorted(set(numbers)):
        raise PartRefused(
            "InvalidPartOrder", "The list of parts was not in ascending order of their numbers."
        )
    by_number = {part.number: part for part in kept}
    chosen = []
    for number, etag in wanted:
        part = by_number.get(number)
        if part is None or part.etag != etag.strip('"'):
            raise PartRefused(
                "InvalidPart", f"Part {number} with ETag {etag} was not found among the parts."
            )
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size_bytes < PART_SIZE_BYTES_MIN:
            raise PartRefused(
                "EntityTooSmall",
                f"Part {part.number} has {part.size_bytes} bytes; each but the last has at least "
                f"{PART_SIZE_BYTES_MIN}.",
            )
    return chosen


def _encode(upload: Upload) -> str:
    values = {
        "bucket": upload.bucket,
        "key": upload.key,
        "headers": asdict(upload.headers),
        "initiated_at": upload.initiated_at.isoformat(),
    }
    return json.dumps(values, indent=1)


def _decode(upload_id: str, text: str) -> Upload:
    values = json.loads(text)
    initiated_at = datetime.fromisoformat(values["initiated_at"])
    headers = Headers(**values["headers"])
    return Upload(upload_id, values["bucket"], values["key"], headers, initiated_at)
