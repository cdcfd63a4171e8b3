"""CloudWatch Logs: the watch room's log book under its own operations.

`aws logs tail` and `aws logs filter-log-events` read it. StartLiveTail is refused: it is an
event stream on a host of its own (`streaming-logs.<region>`), which no local endpoint has;
following with FilterLogEvents gives the same lines. Insights queries are refused too.
"""

import base64
import binascii
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from lakelet.model.errors import LakeletError
from lakelet.watch.log_book import LogBook, LogEvent, LogGroup, LogStream
from lakelet.wire.paging import page_of, threaded
from lakelet.wire.service import RequestContext, Service

Request = dict[str, Any]
EVENTS_PAGE_SIZE = 10_000  # the service's own limit
DESCRIBE_PAGE_SIZE = 50


class LogsParameterInvalid(LakeletError):
    code = "logs.parameter"
    aws_code = "InvalidParameterException"
    http_status = 400


def logs_service(book: LogBook) -> Service:
    """The service over one node's log book."""
    operations = LogOperations(book).operations()
    return Service("logs", {name: threaded(call) for name, call in operations.items()})


class LogOperations:
    """One method an operation."""

    def __init__(self, book: LogBook) -> None:
        self._book = book

    def operations(self) -> dict[str, Callable[[Request, RequestContext], Request | None]]:
        return {
            "DescribeLogGroups": self.describe_log_groups,
            "DescribeLogStreams": self.describe_log_streams,
            "FilterLogEvents": self.filter_log_events,
            "GetLogEvents": self.get_log_events,
            "PutLogEvents": self.put_log_events,
            "CreateLogGroup": self.create_log_group,
            "CreateLogStream": self.create_log_stream,
            "DeleteLogGroup": self.delete_log_group,
            "PutRetentionPolicy": self.put_retention_policy,
            "DeleteRetentionPolicy": self.delete_retention_policy,
        }

    def describe_log_groups(self, request: Request, context: RequestContext) -> Request:
        found = self._book.groups(
            request.get("logGroupNamePrefix", ""), request.get("logGroupNamePattern", "")
        )
        size = request.get("limit", DESCRIBE_PAGE_SIZE)
        page, token = page_of(found, request.get("nextToken"), size)
        return {"logGroups": [_group(group, context) for group in page], "nextToken": token}

    def describe_log_streams(self, request: Request, context: RequestContext) -> Request:
        group = _group_name(request)
        by_time = request.get("orderBy") == "LastEventTime"
        descending = request.get("descending", False)
        found = self._book.streams(
            group, request.get("logStreamNamePrefix", ""), newest_first=by_time
        )
        if by_time != descending:
            found.reverse()
        size = request.get("limit", DESCRIBE_PAGE_SIZE)
        page, token = page_of(found, request.get("nextToken"), size)
        streams = [_stream(group, stream, context) for stream in page]
        return {"logStreams": streams, "nextToken": token}

    def filter_log_events(self, request: Request, context: RequestContext) -> Request:
        limit = request.get("limit", EVENTS_PAGE_SIZE)
        end_ms = request.get("endTime")
        found = self._book.events(
            _group_name(request),
            streams=request.get("logStreamNames"),
            stream_prefix=request.get("logStreamNamePrefix", ""),
            start_ms=request.get("startTime"),
            end_ms=None if end_ms is None else end_ms + 1,  # here the end is included
            pattern=request.get("filterPattern", ""),
            after=_read_cursor(request.get("nextToken")),
            limit=limit + 1,
        )
        page = found[:limit]
        return {
            "events": [
                {
                    "logStreamName": event.stream,
                    "eventId": f"{event.id:056d}",
                    **_event(event),
                }
                for event in page
            ],
            "searchedLogStreams": [],
            "nextToken": _write_cursor("f", page[-1].cursor) if len(found) > limit else None,
        }

    def get_log_events(self, request: Request, context: RequestContext) -> Request:
        token = request.get("nextToken", "")
        cursor = _read_cursor(token)
        # Without a token the page is the stream's end, as CloudWatch's is.
        newest_first = token.startswith("b/") or (not token and not request.get("startFromHead"))
        found = self._book.events(
            _group_name(request),
            streams=[request["logStreamName"]],
            start_ms=request.get("startTime"),
            end_ms=request.get("endTime"),
            after=None if newest_first else cursor,
            before=cursor if newest_first else None,
            newest_first=newest_first,
            limit=request.get("limit", EVENTS_PAGE_SIZE),
        )
        if newest_first:
            found.reverse()
        # At an end the token comes back unchanged: that is how a reader knows.
        first = found[0].cursor if found else cursor or (0, 0)
        last = found[-1].cursor if found else cursor or (0, 0)
        return {
            "events": [_event(event) for event in found],
            "nextForwardToken": _write_cursor("f", last),
            "nextBackwardToken": _write_cursor("b", first),
        }

    def put_log_events(self, request: Request, context: RequestContext) -> Request:
        entries = [(event["timestamp"], event["message"]) for event in request["logEvents"]]
        if any(later < earlier for (earlier, _), (later, _) in pairwise(entries)):
            raise LogsParameterInvalid(
                "Log events in a single PutLogEvents request must be in chronological order.",
                hint="Sort them by timestamp.",
            )
        self._book.put(request["logGroupName"], request["logStreamName"], entries)
        return {"nextSequenceToken": "0"}

    def create_log_group(self, request: Request, context: RequestContext) -> None:
        self._book.create_group(request["logGroupName"])

    def create_log_stream(self, request: Request, context: RequestContext) -> None:
        self._book.create_stream(request["logGroupName"], request["logStreamName"])

    def delete_log_group(self, request: Request, context: RequestContext) -> None:
        self._book.delete_group(request["logGroupName"])

    def put_retention_policy(self, request: Request, context: RequestContext) -> None:
        self._book.set_retention(request["logGroupName"], request["retentionInDays"])

    def delete_retention_policy(self, request: Request, context: RequestContext) -> None:
        self._book.set_retention(request["logGroupName"], None)


def _group_name(request: Request) -> str:
    """`logGroupIdentifier` is a name or an ARN."""
    name = request.get("logGroupName") or request.get("logGroupIdentifier", "")
    if not name:
        raise LogsParameterInvalid("The parameter logGroupName is missing.", hint="Give one.")
    return str(name).split(":log-group:")[-1].removesuffix(":*")


def _write_cursor(direction: str, cursor: tuple[int, int]) -> str:
    at_ms, number = cursor
    return f"{direction}/{base64.urlsafe_b64encode(f'{at_ms}:{number}'.encode()).decode()}"


def _read_cursor(token: str | None) -> tuple[int, int] | None:
    if not token:
        return None
    try:
        at_ms, _, number = base64.urlsafe_b64decode(token[2:]).decode().partition(":")
        return int(at_ms), int(number)
    except (ValueError, binascii.Error):
        raise LogsParameterInvalid(
            "The specified nextToken is invalid.", hint="Start again without it."
        ) from None


def _event(event: LogEvent) -> Request:
    return {
        "timestamp": event.at_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
    }


def _group(group: LogGroup, context: RequestContext) -> Request:
    return {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "retentionInDays": group.retention_days,
        "metricFilterCount": 0,
        "storedBytes": group.stored_bytes,
        "arn": context.arn(f"log-group:{group.name}:*"),
        "logGroupArn": context.arn(f"log-group:{group.name}"),
        "logGroupClass": "STANDARD",
    }


def _stream(group: str, stream: LogStream, context: RequestContext) -> Request:
    return {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "firstEventTimestamp": stream.first_ms,
        "lastEventTimestamp": stream.last_ms,
        "lastIngestionTime": stream.last_ms,
        "uploadSequenceToken": "0",
        "arn": context.arn(f"log-group:{group}:log-stream:{stream.name}"),
        "storedBytes": 0,
    }
