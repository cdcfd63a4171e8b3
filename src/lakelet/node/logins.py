"""The way into the console: links that work once, then a signed cookie.

A link is `<seconds>.<nonce>.<mac>` under the node's token, so whoever may read `node.json`
(the node's own user) can make one, and the token itself is in no address bar.
"""

import hashlib
import hmac
import secrets
import threading
from http.cookies import CookieError, SimpleCookie

from lakelet.model.ports import Clock

COOKIE_NAME = "lakelet_session"
LINK_SECONDS = 24 * 3600
SESSION_SECONDS = 7 * 24 * 3600


def login_path(token: str, clock: Clock) -> str:
    """A fresh link's path and query: open it once, within a day."""
    return f"/login?token={_sign(token, 'link', clock)}"


class Logins:
    """Which links were used, and which cookies hold. Cookies die with the node."""

    def __init__(self, token: str, clock: Clock) -> None:
        self._token, self._clock = token, clock
        self._cookie_key = secrets.token_hex(32)
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def redeem(self, link: str) -> str | None:
        """The cookie's value for a link that was not used before; None otherwise."""
        if not _holds(self._token, "link", link, LINK_SECONDS, self._clock):
            return None
        with self._lock:
            if link in self._used:
                return None
            self._used.add(link)
        return _sign(self._cookie_key, "session", self._clock)

    def has_session(self, cookie_header: str) -> bool:
        try:
            morsel = SimpleCookie(cookie_header).get(COOKIE_NAME)
        except CookieError:
            return False
        if morsel is None:
            return False
        key = self._cookie_key
        return _holds(key, "session", morsel.value, SESSION_SECONDS, self._clock)

    def is_token(self, authorization: str) -> bool:
        """`Bearer <the node's token>`: for scripts that read the JSON twins."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode())


def set_cookie(value: str, *, secure: bool) -> str:
    """The Set-Cookie header. Lax, so that a link clicked elsewhere still logs in; what
    changes anything goes over the web socket, whose origin is checked."""
    return f"{COOKIE_NAME}={value}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Lax" + (
        "; Secure" if secure else ""
    )


def _sign(key: str, purpose: str, clock: Clock) -> str:
    body = f"{int(clock.now().timestamp())}.{secrets.token_urlsafe(12)}"
    return f"{body}.{_mac(key, purpose, body)}"


def _holds(key: str, purpose: str, text: str, seconds: int, clock: Clock) -> bool:
    body, _, mac = text.rpartition(".")
    if not hmac.compare_digest(mac.encode(), _mac(key, purpose, body).encode()):
        return False
    age_seconds = clock.now().timestamp() - int(body.split(".", 1)[0])
    return -60 <= age_seconds <= seconds


def _mac(key: str, purpose: str, body: str) -> str:
    return hmac.new(key.encode(), f"{purpose}:{body}".encode(), hashlib.sha256).hexdigest()[:40]
