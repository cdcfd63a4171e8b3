"""Where things lie: every key of the lake, said once, for all runners and both homes."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

QUARANTINE_PREFIX = "quarantine/"
MANIFEST_PREFIX = "_manifests/"
COMPACTION_PREFIX = "_compactions/"  # the ledger's entries for files that became one
RECEIPT_PREFIX = "_receipts/"  # of replays and reprocessings
SWAP_PREFIX = "_swaps/"  # changes of many objects, see swap.py
ASIDE_PREFIX = "_aside/"  # their objects, until each change is settled

_DELIVERED = re.compile(
    r"^(?P<stream>[a-zA-Z0-9_.-]{1,64})-(?P<version>\d+)"
    r"-(?P<time>\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)"
    r"-(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"(?P<extension>(\.[\w.]+)?)$"
)


@dataclass(frozen=True, slots=True)
class DeliveredName:
    """The last part of a raw key, as Firehose writes it."""

    stream: str
    version: int
    arrived_at: datetime  # of the oldest record, to the second
    id: str
    extension: str


def parse_delivered_name(key: str) -> DeliveredName | None:
    """None where somebody else named the object."""
    found = _DELIVERED.match(key.rsplit("/", 1)[-1])
    if not found:
        return None
    try:
        arrived_at = datetime.strptime(found["time"], "%Y-%m-%d-%H-%M-%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return DeliveredName(
        found["stream"], int(found["version"]), arrived_at, found["id"], found["extension"]
    )


def day_folder(day: date) -> str:
    """`year=2026/month=03/day=09/`: zero-padded, so that text order is time order
    and the function and the Spark job cannot name one month twice."""
    return f"year={day.year:04d}/month={day.month:02d}/day={day.day:02d}/"


def derived_stem(raw_key: str) -> str:
    """A file name for what one raw object becomes: the same every time, for no other object.

    Delivered names are unique by their id. Anything else may share its last part
    with an object of another folder, so it carries a hash of the whole key.
    """
    name = raw_key.rsplit("/", 1)[-1]
    stem = re.sub(r"\.gz$", "", name)
    if parse_delivered_name(raw_key):
        return stem
    safe = re.sub(r"[^\w.=-]", "_", stem)[:120]
    return f"{safe}-{hashlib.sha256(raw_key.encode()).hexdigest()[:16]}"


def transformed_key(table: str, day: date, raw_key: str) -> str:
    return f"{table}/{day_folder(day)}{derived_stem(raw_key)}.snappy.parquet"


def quarantine_key(reason: str, arrived_on: date, raw_key: str) -> str:
    """In the raw bucket: it holds original payloads."""
    folder = f"{QUARANTINE_PREFIX}reason={reason}/{day_folder(arrived_on)}"
    return f"{folder}{derived_stem(raw_key)}.snappy.parquet"


def manifest_key(raw_key: str) -> str:
    """In the transformed bucket. It mirrors the raw key, so that listing one
    zone against the other shows what has not been transformed."""
    return f"{MANIFEST_PREFIX}{raw_key}.json"


def raw_key_of_manifest(key: str) -> str:
    return key.removeprefix(MANIFEST_PREFIX).removesuffix(".json")


def compacted_key(table: str, day: date, name: str) -> str:
    return f"{table}/{day_folder(day)}compacted-{name}.snappy.parquet"


def compaction_key(table: str, day: date, compacted: str) -> str:
    """In the transformed bucket: the entry of one compacted file."""
    name = compacted.rsplit("/", 1)[-1].removesuffix(".snappy.parquet")
    return f"{COMPACTION_PREFIX}{table}/{day_folder(day)}{name}.json"


def receipt_key(receipt_id: str) -> str:
    return f"{RECEIPT_PREFIX}{receipt_id}.json"


def swap_key(swap_id: str) -> str:
    return f"{SWAP_PREFIX}{swap_id}.json"


def aside_key(swap_id: str, key: str) -> str:
    """Where a change keeps its new object for `key` until it is settled."""
    return f"{ASIDE_PREFIX}{swap_id}/{key}"


def error_prefix_root(error_prefix: str) -> str:
    """The constant head of an error prefix expression: `errors/` of the default."""
    return error_prefix.split("!{", 1)[0]


def is_raw_event_key(key: str, *, error_prefix: str = "errors/") -> bool:
    """Whether an object of the raw bucket holds events to transform."""
    root = error_prefix_root(error_prefix)
    return not (
        key.startswith((QUARANTINE_PREFIX, "_", "."))
        or (root and key.startswith(root))
        or key.endswith("/")
    )


def is_error_key(key: str, *, error_prefix: str = "errors/") -> bool:
    """Whether an object of the raw bucket holds records that the stream itself gave up."""
    root = error_prefix_root(error_prefix)
    return bool(root) and key.startswith(root) and not key.endswith("/")
