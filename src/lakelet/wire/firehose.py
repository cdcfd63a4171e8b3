"""Firehose: the ingest room under AWS's operations."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from lakelet.ingest.errors import InvalidArgument, ServiceUnavailable
from lakelet.ingest.put import PutResult, format_ids
from lakelet.ingest.streams import DeliveryStreams
from lakelet.wire.paging import threaded
from lakelet.wire.service import Handler, RequestContext, Service

Request = dict[str, Any]

_UPDATES = ("ExtendedS3DestinationUpdate", "S3DestinationUpdate")


class IngestionDoor(Protocol):
    """What these operations need of the node's ingestion."""

    streams: DeliveryStreams

    async def put(self, stream: str, records: Sequence[bytes]) -> PutResult: ...


def firehose_service(ingestion: IngestionDoor) -> Service:
    """All twelve operations of the API."""
    puts = PutOperations(ingestion)
    operations: dict[str, Handler] = {
        name: threaded(call) for name, call in StreamOperations(ingestion.streams).all().items()
    }
    operations |= {"PutRecord": puts.put_record, "PutRecordBatch": puts.put_record_batch}
    return Service("firehose", operations)


# --- records ------------------------------------------------------------------------


class PutRecordOutput(msgspec.Struct):
    """The answer in the wire's own names, so that nothing walks over it again."""

    RecordId: str
    Encrypted: bool


class PutRecordBatchOutput(msgspec.Struct):
    FailedPutCount: int
    Encrypted: bool
    RequestResponses: msgspec.Raw  # up to 500 entries, joined as bytes


class PutOperations:
    """The two operations that must be fast: event loop only, no thread but the commit's."""

    def __init__(self, ingestion: IngestionDoor) -> None:
        self._ingestion = ingestion

    async def put_record(self, request: Request, _context: RequestContext) -> PutRecordOutput:
        name = request["DeliveryStreamName"]
        result = await self._ingestion.put(name, (request["Record"]["Data"],))
        return PutRecordOutput(only_record_id(result), result.is_encrypted)

    async def put_record_batch(
        self, request: Request, _context: RequestContext
    ) -> PutRecordBatchOutput:
        records = [record["Data"] for record in request["Records"]]
        result = await self._ingestion.put(request["DeliveryStreamName"], records)
        return PutRecordBatchOutput(
            result.failed_count, result.is_encrypted, msgspec.Raw(encode_responses(result))
        )


def only_record_id(result: PutResult) -> str:
    """Of a PutRecord. Raises ServiceUnavailable where its record was refused."""
    if result.refused:
        raise ServiceUnavailable(result.refused[0].message)
    return result.first_id


def encode_responses(result: PutResult) -> bytes:
    """`RequestResponses` as JSON, in the request's order and length."""
    if result.refused:
        return msgspec.json.encode(
            [
                {"RecordId": record_id}
                if record_id
                else {
                    "ErrorCode": result.refused[index].code,
                    "ErrorMessage": result.refused[index].message,
                }
                for index, record_id in enumerate(result.record_ids())
            ]
        )
    # Record ids are hexadecimal: nothing in them needs escaping.
    first, count = result.first_position, result.count
    entries = format_ids(result.incarnation, first, count, b'{"RecordId":"', b'"},')
    entries[-1:] = b"]"  # in place of its comma
    return b"[" + entries


# --- streams ------------------------------------------------------------------------


class StreamOperations:
    """One method an operation, over the registry."""

    def __init__(self, streams: DeliveryStreams) -> None:
        self._streams = streams

    def all(self) -> dict[str, Callable[[Request, RequestContext], Request | None]]:
        return {
            "CreateDeliveryStream": self.create,
            "DescribeDeliveryStream": self.describe,
            "ListDeliveryStreams": self.list_streams,
            "DeleteDeliveryStream": self.delete,
            "UpdateDestination": self.update_destination,
            "TagDeliveryStream": self.tag,
            "UntagDeliveryStream": self.untag,
            "ListTagsForDeliveryStream": self.list_tags,
            "StartDeliveryStreamEncryption": self.start_encryption,
            "StopDeliveryStreamEncryption": self.stop_encryption,
        }

    def create(self, request: Request, _context: RequestContext) -> Request:
        return {"DeliveryStreamARN": self._streams.create(request).arn}

    def describe(self, request: Request, _context: RequestContext) -> Request:
        stream = self._streams.get(request["DeliveryStreamName"])
        return {"DeliveryStreamDescription": stream.describe()}

    def list_streams(self, request: Request, _context: RequestContext) -> Request:
        names, has_more = self._streams.names(
            limit=request.get("Limit", 10),
            kind=request.get("DeliveryStreamType", ""),
            start_after=request.get("ExclusiveStartDeliveryStreamName", ""),
        )
        return {"DeliveryStreamNames": names, "HasMoreDeliveryStreams": has_more}

    def delete(self, request: Request, _context: RequestContext) -> Request:
        self._streams.delete(request["DeliveryStreamName"])
        return {}

    def update_destination(self, request: Request, _context: RequestContext) -> Request:
        given = [member for member in request if member.endswith("DestinationUpdate")]
        if len(given) != 1 or given[0] not in _UPDATES:
            raise InvalidArgument(
                f"UpdateDestination takes one update; given: {', '.join(given) or 'none'}.",
                hint=f"Offered by Lakelet: {', '.join(_UPDATES)}.",
            )
        self._streams.update_destination(
            request["DeliveryStreamName"],
            version=request["CurrentDeliveryStreamVersionId"],
            destination_id=request["DestinationId"],
            update=request[given[0]],
        )
        return {}

    def tag(self, request: Request, _context: RequestContext) -> Request:
        self._streams.tag(request["DeliveryStreamName"], request["Tags"])
        return {}

    def untag(self, request: Request, _context: RequestContext) -> Request:
        self._streams.untag(request["DeliveryStreamName"], request["TagKeys"])
        return {}

    def list_tags(self, request: Request, _context: RequestContext) -> Request:
        tags, has_more = self._streams.list_tags(
            request["DeliveryStreamName"],
            limit=request.get("Limit", 50),
            start_after=request.get("ExclusiveStartTagKey", ""),
        )
        return {"Tags": tags, "HasMoreTags": has_more}

    def start_encryption(self, request: Request, _context: RequestContext) -> Request:
        self._streams.start_encryption(
            request["DeliveryStreamName"],
            request.get("DeliveryStreamEncryptionConfigurationInput"),
        )
        return {}

    def stop_encryption(self, request: Request, _context: RequestContext) -> Request:
        self._streams.stop_encryption(request["DeliveryStreamName"])
        return {}
