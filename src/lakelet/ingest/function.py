"""The Lambda processor: a Python function, called as Firehose calls a Lambda.

Source: https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html
"""

import base64
import binascii
import contextlib
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakelet.ingest.items import PROCESSING_FAILED, Failure, Item, Outcome, as_key
from lakelet.ingest.processing import InvokeFunction

Function = Callable[[dict[str, Any], Any], Any]
Functions = Mapping[str, Function]  # by the function's name in its ARN

# A Lambda's payload limit is 6 MB; records count as Base64, with their envelope.
_EVENT_SIZE_BYTES_MAX = 6 * 1024 * 1024

# Lambda's longest for Firehose.
FUNCTION_SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class FunctionContext:
    """The second argument: what Lambda's own context tells, as far as it means anything here."""

    function_name: str
    invoked_function_arn: str
    aws_request_id: str
    deadline: float  # by time.monotonic()
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "1024"

    def get_remaining_time_in_millis(self) -> int:
        """Until the call counts as failed, whatever it answers."""
        return max(0, round((self.deadline - time.monotonic()) * 1000))


class _BadAnswer(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def invoke_function(
    items: Sequence[Item], step: InvokeFunction, functions: Functions, stream_arn: str
) -> Outcome:
    """Each record Ok, dropped, or failed, as the function says."""
    total = Outcome()
    for batch in plan_invocations(items, step.buffer_size_bytes):
        outcome = _invoke_with_retries(batch, step, functions, stream_arn)
        total.items += outcome.items
        total.failures += outcome.failures
        total.dropped += outcome.dropped
    return total


def plan_invocations(items: Sequence[Item], size_bytes_max: int) -> Iterator[list[Item]]:
    """Neighbouring records that go in one event."""
    batch: list[Item] = []
    size_bytes = 0
    for item in items:
        size = 4 * len(item.data) // 3 + 150
        if batch and size_bytes + size > min(size_bytes_max, _EVENT_SIZE_BYTES_MAX):
            yield batch
            batch, size_bytes = [], 0
        batch.append(item)
        size_bytes += size
    if batch:
        yield batch


def build_event(items: Sequence[Item], stream_arn: str, invocation_id: str) -> dict[str, Any]:
    """What the function is called with."""
    return {
        "invocationId": invocation_id,
        "deliveryStreamArn": stream_arn,
        "region": stream_arn.split(":")[3],
        "records": [
            {
                "recordId": item.record_id,
                "approximateArrivalTimestamp": item.arrived_ms,
                "data": base64.b64encode(item.data).decode(),
            }
            for item in items
        ],
    }


def _invoke_with_retries(
    items: Sequence[Item], step: InvokeFunction, functions: Functions, stream_arn: str
) -> Outcome:
    function = functions.get(step.name)
    if function is None:
        known = ", ".join(sorted(functions)) or "none"
        message = f"no function {step.name} is declared under [functions]; known: {known}"
        return _all_failed(items, step, "Lambda.ResourceNotFound", message, attempts=1)
    code = message = ""
    for _ in range(step.retries + 1):
        request_id = str(uuid.uuid4())
        deadline = time.monotonic() + FUNCTION_SECONDS_MAX
        context = FunctionContext(step.name, step.arn, request_id, deadline)
        try:
            answer = _call(function, build_event(items, stream_arn, request_id), context)
            return _read_answer(items, step, answer)
        except _BadAnswer as error:
            code, message = error.code, str(error)
        except Exception as error:  # noqa: BLE001 - an answer may be anything
            code, message = "Lambda.FunctionError", f"{type(error).__name__}: {error}"
    return _all_failed(items, step, code, message, attempts=step.retries + 1)


def _call(function: Function, event: dict[str, Any], context: FunctionContext) -> Any:
    """In a thread of its own, which is left behind where it comes to no end.

    Raises _BadAnswer where it raised, or is late.
    """
    answers: queue.SimpleQueue[tuple[BaseException | None, Any]] = queue.SimpleQueue()

    def call() -> None:
        try:
            answers.put((None, function(event, context)))
        except BaseException as error:  # noqa: BLE001 - the user's code; `sys.exit` is no Exception
            answers.put((error, None))

    name = f"lakelet-function-{context.function_name}"
    threading.Thread(target=call, name=name, daemon=True).start()
    try:
        error, answer = answers.get(timeout=max(0.0, context.deadline - time.monotonic()))
    except queue.Empty:
        raise _BadAnswer(
            "Lambda.FunctionTimedOut", f"no answer within {FUNCTION_SECONDS_MAX:g} s"
        ) from None
    if error is not None:
        raise _BadAnswer("Lambda.FunctionError", f"{type(error).__name__}: {error}") from error
    return answer


def _read_answer(items: Sequence[Item], step: InvokeFunction, answer: Any) -> Outcome:
    """Raises _BadAnswer where the whole answer can't be used."""
    outcome, by_id = Outcome(), _records_by_id(answer)
    for item in items:
        record = by_id.get(item.record_id)
        if record is None:
            raise _BadAnswer("Lambda.MissingRecordId", f"no answer for record {item.record_id}")
        result = record.get("result")
        if result == "Dropped":
            outcome.dropped += 1
        elif result == "Ok":
            outcome.items.append(_changed(item, record))
        elif result == "ProcessingFailed":
            message = "ProcessingFailed status set for record"
            outcome.failures += _all_failed(
                [item], step, "Lambda.ProcessingFailedStatus", message, attempts=1
            ).failures
        else:
            raise _BadAnswer(
                "Lambda.InvalidResult", f"result {result!r}: not Ok, Dropped or ProcessingFailed"
            )
    return outcome


def _records_by_id(answer: Any) -> dict[str, dict[str, Any]]:
    records = answer.get("records") if isinstance(answer, dict) else None
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise _BadAnswer("Lambda.JsonProcessingException", "the answer has no list `records`")
    by_id = {str(each.get("recordId")): each for each in records}
    if len(by_id) != len(records):
        raise _BadAnswer("Lambda.DuplicatedRecordId", "a recordId is answered twice")
    return by_id


def _changed(item: Item, record: Mapping[str, Any]) -> Item:
    try:
        data = base64.b64decode(record["data"], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError) as error:
        raise _BadAnswer(
            "Lambda.JsonProcessingException", f"`data` of {item.record_id} is no Base64: {error!r}"
        ) from error
    keys = record.get("metadata", {}).get("partitionKeys", {})
    named = {}
    for key, value in keys.items():
        with contextlib.suppress(ValueError):  # a prefix that asks for it finds it missing
            named["partitionKeyFromLambda", str(key)] = as_key(key, value)
    return item.with_data(data).with_keys(named)


def _all_failed(
    items: Sequence[Item], step: InvokeFunction, code: str, message: str, *, attempts: int
) -> Outcome:
    return Outcome(
        failures=[
            Failure(item, PROCESSING_FAILED, code, message, attempts, lambda_arn=step.arn)
            for item in items
        ]
    )
