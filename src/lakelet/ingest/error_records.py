"""Records that failed, in the format Firehose writes under an error prefix.

One JSON object a line, as `lakelet replay` and AWS's own examples read them:
https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html
"""

import base64
import json
from collections.abc import Sequence

from lakelet.ingest.items import FORMAT_CONVERSION_FAILED, Failure


def encode_failures(failures: Sequence[Failure], ended_ms: int) -> bytes:
    lines = (json.dumps(_fields(failure, ended_ms)) for failure in failures)
    return "".join(f"{line}\n" for line in lines).encode()


def decode_failure(line: bytes) -> bytes:
    """The record itself, as it was received. Raises ValueError, KeyError."""
    return base64.b64decode(json.loads(line)["rawData"], validate=True)


def _fields(failure: Failure, ended_ms: int) -> dict[str, object]:
    """Format conversion spells the error's members with `last`, transformation without."""
    is_conversion = failure.error_type == FORMAT_CONVERSION_FAILED
    code, message = (
        ("lastErrorCode", "lastErrorMessage") if is_conversion else ("errorCode", "errorMessage")
    )
    fields: dict[str, object] = {
        "attemptsMade": failure.attempts,
        "arrivalTimestamp": failure.item.arrived_ms,
        code: failure.code,
        message: failure.message,
        "attemptEndingTimestamp": ended_ms,
        "rawData": base64.b64encode(failure.item.original).decode(),
    }
    if failure.lambda_arn:
        fields["lambdaArn"] = failure.lambda_arn
    if failure.table:
        database, table = failure.table
        fields |= {
            "sequenceNumber": str(failure.item.position),
            "subSequenceNumber": failure.item.part,
            "dataCatalogTable": {"databaseName": database, "tableName": table},
        }
    return fields
