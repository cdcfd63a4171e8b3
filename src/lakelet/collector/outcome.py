"""What a request is told: how many of its events are durable, which are not, and why. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakelet.collector.http import Response, json_response
from lakelet.collector.rejected import Rejected
from lakelet.collector.sink import Put

Fate = Put | Rejected


@dataclass(frozen=True, slots=True)
class Failed:
    index: int  # of the event in the request
    code: str
    message: str
    retry: bool


def failures_of(fates: Sequence[Sequence[Fate]]) -> list[Failed]:
    """One entry for each event that is not wholly durable; `fates[i]` are event i's records'."""
    return [
        failed
        for index, records in enumerate(fates)
        if (failed := _failure(index, records)) is not None
    ]


def _failure(index: int, records: Sequence[Fate]) -> Failed | None:
    for fate in records:
        if isinstance(fate, Rejected):
            return Failed(index, fate.code, fate.message, retry=False)
        if not fate.record_id:
            return Failed(index, fate.error_code, fate.error_message, retry=True)
    return None


def answer(event_count: int, failed: Sequence[Failed], *, retry_after_seconds: int) -> Response:
    """200 where coming again is of no use, 503 where it is, 400 where nothing was readable.

    A sender that looks only at the status sends everything again on 503; the
    events' ids keep those from being counted twice. One that reads `failed`
    sends just these.
    """
    body: Mapping[str, object] = {
        "success": not failed,
        "accepted": event_count - len(failed),
        "failed": [
            {"index": f.index, "code": f.code, "message": f.message, "retry": f.retry}
            for f in failed
        ],
    }
    if any(f.retry for f in failed):
        return json_response(503, body, {"retry-after": str(retry_after_seconds)})
    return json_response(400 if failed and len(failed) == event_count else 200, body)
