"""What one request may hold, as the service says it.

Source: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
"""

from collections.abc import Iterator, Sequence

from lakelet.ingest.errors import InvalidArgument
from lakelet.ingest.records import Records

RECORD_SIZE_BYTES_MAX = 1_024_000
BATCH_RECORDS_MAX = 500
BATCH_SIZE_BYTES_MAX = 4 * 1024 * 1024


def check_batch(records: Records) -> None:
    """Raises InvalidArgument: one too large a record, or too many, refuse the whole request."""
    if not 1 <= len(records) <= BATCH_RECORDS_MAX:
        raise InvalidArgument(
            f"a batch of {len(records)} records: it must have 1 to {BATCH_RECORDS_MAX}.",
            hint="Send them in several batches.",
        )
    size_bytes = records.size_bytes
    if size_bytes > RECORD_SIZE_BYTES_MAX and (largest := max(records.sizes)) > (
        RECORD_SIZE_BYTES_MAX
    ):
        raise InvalidArgument(
            f"record {records.sizes.index(largest)} has {largest} bytes: "
            f"at most {RECORD_SIZE_BYTES_MAX} before base64.",
            hint="Split it, or store it elsewhere and send where.",
        )
    if size_bytes > BATCH_SIZE_BYTES_MAX:
        raise InvalidArgument(
            f"a batch of {size_bytes} bytes: at most {BATCH_SIZE_BYTES_MAX}.",
            hint="Send fewer records in a batch.",
        )


def batches(records: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The same records in the same order, in batches that `check_batch` takes if each
    record alone would be taken."""
    start = size_bytes = 0
    for index, record in enumerate(records):
        is_full = index - start == BATCH_RECORDS_MAX or (
            index > start and size_bytes + len(record) > BATCH_SIZE_BYTES_MAX
        )
        if is_full:
            yield records[start:index]
            start, size_bytes = index, 0
        size_bytes += len(record)
    if start < len(records):
        yield records[start:]
