"""Keys as paths: which file under a bucket's folder holds an object.

A key is its own path, so that people and other programs find what they expect:

    events/year=2026/month=03/day=09/a.parquet

Four kinds of segment cannot be file names as they are: empty ones (`a//b`, `a/`), `.` and
`..`, those with a NUL, and those that look like our own escapes. They are written as
`.lakelet%` and the segment percent-encoded: `a/` lies at `a/.lakelet%`. The leading dot
keeps such files from every reader that skips hidden files, as Hive, Athena and Spark do.

Where `a` and `a/b` are both objects, `a` must be a folder; the object moves aside to
`.lakelet=a` next to it.

What no file name can hold is refused: segments over 246 bytes, keys over 1,024 bytes,
text that is no UTF-8. On a file system that folds case (macOS, by default), keys that
differ only in case meet in one file.
"""

import re
from urllib.parse import quote, unquote

from lakelet.store.errors import BucketNameRefused, KeyRefused, KeyTooLong

KEY_SIZE_BYTES_MAX = 1024  # S3's limit

_OURS = ".lakelet"
_ESCAPED = ".lakelet%"
_ASIDE = ".lakelet="

# 255 of ext4, xfs, btrfs and APFS, less the room for stepping aside.
NAME_SIZE_BYTES_MAX = 255 - len(_ASIDE)

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def check_bucket_name(bucket: str) -> None:
    """Raises BucketNameRefused. The names S3 allows are all plain folder names."""
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise BucketNameRefused(
            f"The specified bucket is not valid: {bucket!r}.",
            hint="3 to 63 characters: a-z, 0-9, `-` and `.`, a letter or digit at both ends.",
        )


def encode_key(key: str) -> str:
    """A key to its path under the bucket's folder, never out of it.

    Raises:
        KeyRefused, KeyTooLong.
    """
    if not key:
        raise KeyRefused("A key has at least one character.", hint="Name the object.")
    size_bytes = len(_utf8(key))
    if size_bytes > KEY_SIZE_BYTES_MAX:
        raise KeyTooLong(
            f"Your key is too long: {size_bytes} bytes, {KEY_SIZE_BYTES_MAX} are allowed.",
            hint="Shorten it.",
        )
    return "/".join([_encode_segment(segment) for segment in key.split("/")])


def encode_folder(prefix: str) -> str | None:
    """The folder that holds every key of a prefix ending in `/`; "" for the bucket itself.

    None where no key can begin like that.
    """
    if not prefix:
        return ""
    try:
        return encode_key(prefix[:-1]) if prefix != "/" else _encode_segment("")
    except KeyRefused:
        return None


def aside_path(path: str) -> str:
    """Where an object lies whose own path is taken by a folder."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{_ASIDE}{name}"


def is_aside(name: str) -> bool:
    return name.startswith(_ASIDE)


def decode_file(name: str) -> str | None:
    """A file's name to its segment; None for files that are no objects of ours."""
    if is_aside(name):
        name = name[len(_ASIDE) :]
    return decode_name(name)


def decode_name(name: str) -> str | None:
    """A folder's (or plain file's) name to its segment; None where no key leads there."""
    if name.startswith(_OURS):
        return _decode_escaped(name)
    return name if name.isascii() or _is_utf8(name) else None


def _encode_segment(segment: str) -> str:
    if segment in ("", ".", "..") or segment.startswith(_OURS) or "\0" in segment:
        # quote() leaves dots alone, but only they tell `.` from ``; encode them by hand.
        name = _ESCAPED + quote(segment, safe="").replace(".", "%2E")
    else:
        name = segment
    size_bytes = len(name.encode())
    if size_bytes > NAME_SIZE_BYTES_MAX:
        raise KeyTooLong(
            f"Your key has a part of {size_bytes} bytes between slashes; "
            f"a file's name has room for {NAME_SIZE_BYTES_MAX}.",
            hint="Put slashes into it, or shorten it.",
        )
    return name


def _decode_escaped(name: str) -> str | None:
    if not name.startswith(_ESCAPED):
        return None
    segment = unquote(name[len(_ESCAPED) :], errors="replace")
    try:
        return segment if "/" not in segment and _encode_segment(segment) == name else None
    except KeyRefused:
        return None


def _utf8(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        raise KeyRefused(f"The key {key!r} is not UTF-8.", hint="Encode it as UTF-8.") from error


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # os.scandir gives undecodable bytes as lone surrogates
        return False
    return True
