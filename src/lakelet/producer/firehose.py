"""PutRecordBatch over botocore, answered as a Reply.

botocore is blocking, and on purpose stays so: endpoint rules, SigV4, credential
refresh and proxies are its work. An async HTTP client with botocore's signer
would do that work a second time; a producer needs one request at a time, so one
thread serves an event loop as well (see `engine.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lakelet.producer.delivery import Answered, Refusal, Refused
from lakelet.producer.records import Record

# Anything else of the 4xx family is about the caller's setup, not the records.
_CONTENT_CODES = frozenset(
    {"InvalidArgumentException", "ValidationException", "SerializationException"}
)
_TRANSIENT_CODES = frozenset(
    {
        "ServiceUnavailableException",
        "ServiceUnavailable",
        "InternalFailure",
        "InternalError",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)


class FirehoseClient(Protocol):
    """What is used of botocore's (or boto3's) firehose client."""

    def put_record_batch(
        self,
        *,
        DeliveryStreamName: str,  # noqa: N803 - the API's names
        Records: list[dict[str, bytes]],  # noqa: N803
    ) -> dict[str, Any]: ...


class DescribingClient(FirehoseClient, Protocol):
    """What is used of it to ask a stream how it joins records."""

    def describe_delivery_stream(
        self,
        *,
        DeliveryStreamName: str,  # noqa: N803
    ) -> dict[str, Any]: ...


class FirehoseTransport:
    """One delivery stream, reached through a botocore client."""

    def __init__(self, client: FirehoseClient, stream: str) -> None:
        self._client = client
        self._stream = stream

    def put(self, records: Sequence[Record]) -> Answered | Refused:
        """One PutRecordBatch. Never raises for what the network or the service does."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            HTTPClientError,
            ParamValidationError,
        )
        from botocore.exceptions import ConnectionError as ConnectionFailed

        try:
            answer = self._client.put_record_batch(
                DeliveryStreamName=self._stream,
                Records=[{"Data": record.data} for record in records],
            )
        except ClientError as error:
            return classify(error.response)
        except ParamValidationError as error:
            return Refused(Refusal.CONTENT, str(error))
        except (HTTPClientError, ConnectionFailed) as error:
            return Refused(Refusal.TRANSIENT, f"{type(error).__name__}: {error}")
        except BotoCoreError as error:  # no credentials, no region, no such profile
            return Refused(Refusal.SETUP, f"{type(error).__name__}: {error}")
        return read_answer(answer, len(records))


def classify(response: Mapping[str, Any]) -> Refused:
    """A ClientError's response, by what helps against it."""
    error = response.get("Error", {})
    code = str(error.get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reason = f"{code}: {error.get('Message', '')}"
    if code in _TRANSIENT_CODES or status >= 500 or status == 429:
        return Refused(Refusal.TRANSIENT, reason)
    if code in _CONTENT_CODES or status == 413:
        return Refused(Refusal.CONTENT, reason)
    return Refused(Refusal.SETUP, reason)


def read_answer(answer: dict[str, Any], record_count: int) -> Answered | Refused:
    """A PutRecordBatch answer: 200 says nothing, each entry must be looked at."""
    entries = answer.get("RequestResponses", [])
    if len(entries) != record_count:
        # Not Firehose's shape (a proxy's page, a half-made emulator): nothing of
        # it can be trusted, so everything goes again and may arrive twice.
        return Refused(
            Refusal.TRANSIENT, f"{record_count} records answered by {len(entries)} entries"
        )
    return Answered(
        {
            index: f"{entry.get('ErrorCode', 'no RecordId')}: {entry.get('ErrorMessage', '')}"
            for index, entry in enumerate(entries)
            if entry.get("ErrorCode") or not entry.get("RecordId")
        }
    )


def line_delimiter(client: DescribingClient, stream: str) -> bytes:
    """What a record is to end in, so that the delivered object holds one line a record.

    Nothing where the stream appends a newline itself: it does so to a record that has one too.
    A newline wherever that cannot be told (no right to ask, no connection): readers pass over
    an empty line, and many lose events that meet as `}{`.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = client.describe_delivery_stream(DeliveryStreamName=stream)
    except (BotoCoreError, ClientError):
        return b"\n"
    return b"" if appends_newline(answer) else b"\n"


def appends_newline(description: Mapping[str, Any]) -> bool:
    """Whether every destination of a DescribeDeliveryStream answer has the processor."""
    destinations = description.get("DeliveryStreamDescription", {}).get("Destinations", [])
    return bool(destinations) and all(map(_destination_appends_newline, destinations))


def _destination_appends_newline(destination: Mapping[str, Any]) -> bool:
    configured = destination.get("ExtendedS3DestinationDescription", {})
    processing = configured.get("ProcessingConfiguration", {})
    return bool(processing.get("Enabled")) and any(
        processor.get("Type") == "AppendDelimiterToRecord" and _delimiter(processor) == "\n"
        for processor in processing.get("Processors", [])
    )


def _delimiter(processor: Mapping[str, Any]) -> str:
    parameters = {p["ParameterName"]: p["ParameterValue"] for p in processor.get("Parameters", [])}
    return str(parameters.get("Delimiter", "\n")).replace("\\n", "\n")


def make_client(
    *, session: Any = None, region_name: str | None = None, endpoint_url: str | None = None
) -> DescribingClient:
    """A botocore client that leaves the retrying to us.

    Args:
        session: a botocore or boto3 session; by default a fresh botocore one.
    """
    import botocore.session
    from botocore.config import Config

    # Two layers of retries would multiply, and botocore's resends whole batches.
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=5,
        read_timeout=30,
        tcp_keepalive=True,
    )
    session = session or botocore.session.get_session()
    create = session.client if hasattr(session, "client") else session.create_client
    client: DescribingClient = create(
        "firehose", region_name=region_name, endpoint_url=endpoint_url, config=config
    )
    return client
