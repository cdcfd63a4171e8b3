"""Pages of a list that is at hand, and handlers that wait beside the event loop."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lakelet.model.errors import LakeletError
from lakelet.wire.service import Handler, RequestContext

T = TypeVar("T")


class TokenInvalid(LakeletError):
    """A NextToken that we did not give."""

    code = "wire.next_token"
    aws_code = "InvalidNextToken"
    http_status = 400


def page_of(items: Sequence[T], token: str | None, size: int) -> tuple[Sequence[T], str | None]:
    """The page a token stands for, and the token of the next; None where it is the last."""
    first = 0 if token is None else _offset(token)
    following = first + size
    more = following < len(items)
    return items[first:following], _token(following) if more else None


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _offset(token: str) -> int:
    try:
        word, _, number = base64.urlsafe_b64decode(token).decode().partition(":")
        if word == "offset":
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise TokenInvalid("The NextToken is not one of ours.", hint="Start again without it.")


def threaded(call: Callable[[dict[str, Any], RequestContext], Any]) -> Handler:
    """A handler that may wait (for SQLite), run in a thread."""

    async def handler(request: dict[str, Any], context: RequestContext) -> Any:
        return await asyncio.to_thread(call, request, context)

    return handler
