"""What can go wrong with buckets and keys, beyond the port's own errors."""

import errno

from lakelet.model.errors import LakeletError, StorageFull


class KeyRefused(LakeletError):
    """A key that S3 allows, or not even S3, and that no file name can hold."""

    code = "store.key_refused"
    aws_code = "InvalidArgument"
    http_status = 400


class KeyTooLong(KeyRefused):
    code = "store.key_too_long"
    aws_code = "KeyTooLongError"


class BucketNameRefused(LakeletError):
    code = "store.bucket_name_refused"
    aws_code = "InvalidBucketName"
    http_status = 400


class BucketNotEmpty(LakeletError):
    code = "store.bucket_not_empty"
    aws_code = "BucketNotEmpty"
    http_status = 409


def storage_full(error: OSError, what: str) -> StorageFull | None:
    """StorageFull where the operating system said so; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return StorageFull(
        f"No room is left on the disk to {what}.",
        hint="Nothing was changed. Free some space, then send it again.",
    )
