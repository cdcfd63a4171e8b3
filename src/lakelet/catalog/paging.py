"""Opaque continuation tokens for the list operations."""

import base64
from collections.abc import Sequence
from typing import TypeVar

from lakelet.catalog.errors import InvalidInput

T = TypeVar("T")


def encode_token(offset_count: int) -> str:
    return base64.urlsafe_b64encode(f"at:{offset_count}".encode()).decode()


def decode_token(token: str | None) -> int:
    """Raises InvalidInput for a token that we did not give."""
    if not token:
        return 0
    try:
        kind, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if kind == "at":
            return int(number)
    except ValueError:
        pass
    raise InvalidInput(f"NextToken {token!r} is not one of ours.", hint="Start from the top.")


def page(
    items: Sequence[T], token: str | None, size_max: int | None, default: int
) -> tuple[list[T], str | None]:
    """One page and the token of the next, None after the last."""
    start = decode_token(token)
    end = start + min(size_max or default, default)
    return list(items[start:end]), encode_token(end) if end < len(items) else None
