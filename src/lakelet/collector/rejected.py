"""Why an event is not taken."""

from dataclasses import dataclass

RECORD_BYTES_MAX = 1_024_000  # Firehose's


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that will not be taken, whoever sends it again."""

    code: str
    message: str


NOT_JSON = Rejected("not_json", "It is not JSON.")
NOT_AN_OBJECT = Rejected("not_an_object", "An event is a JSON object.")
TOO_LARGE = Rejected("too_large", f"It is over {RECORD_BYTES_MAX:,} bytes.")
