"""Where the collector's records go: the one thing it asks of its host."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Put:
    """What became of one record: an id once it is durable, else an error code."""

    record_id: str = ""
    error_code: str = ""  # Firehose's: ServiceUnavailableException, InternalFailure
    error_message: str = ""


class RecordSink(Protocol):
    async def put(self, stream: str, records: Sequence[bytes]) -> Sequence[Put]:
        """Make records durable; one `Put` a record, in order.

        At most 500 records and 4 MiB a call, as PutRecordBatch.

        Raises:
            LakeletError: the call as a whole failed; with http_status 503 or
                outcome RETRY the client is asked to come again.
        """
        ...
