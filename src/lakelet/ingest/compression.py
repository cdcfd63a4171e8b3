"""Bodies as the destination wants them. The same bytes in, the same bytes out."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import cramjam

from lakelet.model.ports import Buffer

igzip: Any
try:
    from isal import igzip
except ImportError:  # a platform without wheels: slower, the same format
    igzip = None

# Measured on clickstream JSON: 970 MB/s to a fifth, where zlib's 2 does 140 to the same.
_ISAL_LEVEL = 2
_ZLIB_LEVEL = 4

# What Hadoop's SnappyCodec cuts its input into (io.compression.codec.snappy.buffersize).
_HADOOP_BLOCK_SIZE = 256 * 1024

# The first day a ZIP entry can name: deterministic, like GZIP's mtime of 0.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def gzip_bytes(data: Buffer) -> bytes:
    if igzip is not None:
        return bytes(igzip.compress(data, _ISAL_LEVEL, mtime=0))
    return gzip.compress(data, _ZLIB_LEVEL, mtime=0)


def _zip(data: Buffer) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("records", _ZIP_EPOCH), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _snappy(data: Buffer) -> bytes:
    """Snappy's framing format."""
    return bytes(cramjam.snappy.compress(data))


def _hadoop_snappy(data: Buffer) -> bytes:
    """Hadoop's blocks: u32 big-endian size before, u32 after compression, raw Snappy."""
    blocks = []
    for start in range(0, len(data), _HADOOP_BLOCK_SIZE):
        block = data[start : start + _HADOOP_BLOCK_SIZE]
        packed = bytes(cramjam.snappy.compress_raw(block))
        blocks.append(struct.pack(">II", len(block), len(packed)) + packed)
    return b"".join(blocks)


# By Firehose's CompressionFormat: what it does, and the extension it adds.
COMPRESSIONS: dict[str, tuple[Callable[[Buffer], Buffer], str]] = {
    "UNCOMPRESSED": (lambda data: data, ""),
    "GZIP": (gzip_bytes, ".gz"),
    "ZIP": (_zip, ".zip"),
    "Snappy": (_snappy, ".snappy"),
    "HADOOP_SNAPPY": (_hadoop_snappy, ".hsnappy"),
}


def compress(data: Buffer, compression: str) -> Buffer:
    return COMPRESSIONS[compression][0](data)


def extension(compression: str) -> str:
    return COMPRESSIONS[compression][1]
