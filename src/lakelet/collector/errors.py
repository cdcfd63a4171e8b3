"""What the browser's door refuses, with the HTTP status that says so."""

from lakelet.model.errors import LakeletError, Outcome


class CollectorError(LakeletError):
    """The base. `retry_after_seconds` becomes the Retry-After header."""

    code = "collector.error"
    retry_after_seconds: int | None = None


class BodyTooLarge(CollectorError):
    code = "collector.body_too_large"
    http_status = 413


class BodyUnreadable(CollectorError):
    code = "collector.body_unreadable"
    http_status = 400


class EncodingUnknown(CollectorError):
    code = "collector.encoding_unknown"
    http_status = 415


class WriteKeyInvalid(CollectorError):
    code = "collector.write_key_invalid"
    http_status = 401


class OriginRefused(CollectorError):
    code = "collector.origin_refused"
    http_status = 403


class NoSuchRoute(CollectorError):
    code = "collector.no_such_route"
    http_status = 404


class MethodNotAllowed(CollectorError):
    code = "collector.method_not_allowed"
    http_status = 405


class TooManyRequests(CollectorError):
    code = "collector.too_many_requests"
    outcome = Outcome.RETRY
    http_status = 429

    def __init__(self, message: str, *, retry_after_seconds: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class NotReady(CollectorError):
    """The node's own setup or state is at fault, and its log says how: whoever may send is anyone.

    503 rather than 500: clients keep their events and come again, and somebody mends it meanwhile.
    """

    code = "collector.not_ready"
    outcome = Outcome.RETRY
    http_status = 503
