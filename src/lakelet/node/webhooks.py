"""Alarm news, posted to the webhooks that the declaration names."""

import json
import urllib.request

TIMEOUT_SECONDS = 5


def post_webhook(url: str, body: dict[str, str]) -> None:
    """One POST of JSON. Raises OSError where it was not taken (any status but 2xx)."""
    request = urllib.request.Request(  # noqa: S310 - http(s) only, checked by the caller
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
        pass
