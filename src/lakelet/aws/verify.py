"""`lakelet verify --on aws`: marked events, followed through every stage of a real account.

The events lie on a day long past, which no other event shares: so their rows can be counted
in SQL by partition, and taken out again without touching anybody else's.
"""

import gzip
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lakelet.aws.home import AwsHome
from lakelet.model.contract import Contract, Field, TableContract
from lakelet.model.errors import LakeletError
from lakelet.model.layout import day_folder, manifest_key
from lakelet.model.manifest import Manifest

COUNT = 1_000
MARK = "lakelet_verify"  # the dropped-by-rule name that the ledger keeps them under
# Within the contract's bounds on event time, with a month to spare.
SPARE_DAYS = 30
WAIT_SECONDS_MAX = 900.0
POLL_SECONDS = 5.0

_SAMPLES: dict[str, Any] = {
    "string": "x",
    "int": 1,
    "bigint": 1,
    "double": 1.0,
    "boolean": True,
    "date": "2020-01-01",
    "timestamp": "2020-01-01T00:00:00Z",
    "json": {},
}


class VerifyFailed(LakeletError):
    """The marked events did not come through a stage, or not all of them."""

    code = "aws.verify_failed"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage passed."""

    name: str
    found: str


def verify(
    home: AwsHome,
    contract: Contract,
    *,
    count: int = COUNT,
    today: date | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Stage]:
    """Send, follow, count, clean up; a Stage each time one is passed.

    Raises:
        VerifyFailed naming the stage. What was sent is cleaned up all the same.
    """
    run = uuid.uuid4().hex
    table = contract.default_table
    today = today or datetime.now(UTC).date()
    day = marked_day(table, today)
    home.put([_encode(one) for one in marked_events(table, run, count, day)])
    yield Stage("accepted", f"{count:,} events by the delivery stream")
    walk = _Walk(home, table, run, count, day, pause)
    try:
        keys = walk.raw(today)
        yield Stage("raw", f"{len(keys)} objects hold them, each event once")
        manifests = [walk.manifest(key) for key in keys]
        yield Stage("transformed", f"{len(manifests)} manifests, ledger balanced")
        home.call("crawl", {})
        yield Stage("crawled", "partitions are known")
        yield Stage("SQL", walk.counted())
    finally:
        removed = walk.clean_up()
    yield Stage("cleaned up", f"{removed} objects; raw ones go by themselves with their zone")


def marked_day(table: TableContract, today: date) -> date:
    back = max(1, table.event_time.oldest_days - SPARE_DAYS)
    return today - timedelta(days=back)


def marked_events(table: TableContract, run: str, count: int, day: date) -> list[dict[str, Any]]:
    """Events that the contract takes: whatever it requires, in the simplest form."""
    required = [field for field in table.fields if field.required]
    time_field = table.field_of(table.event_time.column)
    unique = table.deduplicate.column if table.deduplicate else ""
    events = []
    for number in range(count):
        event: dict[str, Any] = {}
        for field in required:
            _set(event, field, _sample(field))
        _set(event, time_field, f"{day.isoformat()}T12:00:00Z")
        if unique:
            _set(event, table.field_of(unique), f"{run}-{number}")
        event[MARK] = f"{run}-{number}"  # undeclared: it is found in `properties`
        events.append(event)
    return events


def _sample(field: Field) -> Any:
    if field.enum:
        return field.enum[0]
    if field.least is not None:
        return field.least
    return _SAMPLES.get(field.type, "x")


def _set(event: dict[str, Any], field: Field, value: Any) -> None:
    *above, last = field.path
    for key in above:
        event = event.setdefault(key, {})
    event[last] = value


def _encode(event: dict[str, Any]) -> bytes:
    import json

    return json.dumps(event, separators=(",", ":")).encode()


class _Walk:
    """One run, stage by stage."""

    def __init__(
        self,
        home: AwsHome,
        table: TableContract,
        run: str,
        count: int,
        day: date,
        pause: Callable[[float], None],
    ) -> None:
        self._home, self._table, self._run, self._count = home, table, run, count
        self._day, self._pause = day, pause
        self._seen: dict[str, int] = {}  # raw key → marked events in it

    def raw(self, today: date) -> list[str]:
        """Keys of the raw objects that hold the run's events."""
        pipeline, store = self._home.pipeline, self._home.store
        head = pipeline.stream.prefix.split("!{", 1)[0]
        # Around midnight two days may hold them.
        days = [today - timedelta(days=1), today, today + timedelta(days=1)]
        prefixes = [day_folder(day) for day in days] if head == "year=" else [head]

        def look() -> bool:
            for prefix in prefixes:
                for info in store.list(pipeline.raw_bucket, prefix):
                    if info.key not in self._seen:
                        body = store.get(pipeline.raw_bucket, info.key)
                        text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
                        self._seen[info.key] = text.count(f'"{MARK}":"{self._run}-'.encode())
            return sum(self._seen.values()) >= self._count

        self._wait(look, "raw", lambda: f"{sum(self._seen.values()):,} of {self._count:,} arrived")
        if sum(self._seen.values()) != self._count:
            raise VerifyFailed(
                f"raw: {sum(self._seen.values()):,} events where {self._count:,} were sent.",
                hint="A producer that sends again what was accepted makes duplicates.",
            )
        return [key for key, found in self._seen.items() if found]

    def manifest(self, key: str) -> Manifest:
        pipeline, store = self._home.pipeline, self._home.store
        prefix = manifest_key(key)
        self._wait(
            lambda: any(store.list(pipeline.transformed_bucket, prefix)),
            "transformed",
            lambda: f"no manifest of {key}",
        )
        manifest = Manifest.decode(store.get(pipeline.transformed_bucket, prefix))
        if manifest.imbalance():
            raise VerifyFailed(f"transformed: {key} is out of balance by {manifest.imbalance()}.")
        return manifest

    def counted(self) -> str:
        day = self._day
        where = f"year='{day:%Y}' AND month='{day:%m}' AND day='{day:%d}'"
        answer = self._home.query(
            f"SELECT count(*) AS n FROM {self._table.name} "
            f"WHERE {where} AND properties LIKE '%{self._run}%'"
        )
        found = answer.to_pylist()[0]["n"]
        if found != self._count:
            raise VerifyFailed(
                f"SQL: {found:,} rows where {self._count:,} were sent.",
                hint="Partitions not found? `lakelet crawl --on aws`; set aside? "
                "`lakelet quarantine --on aws`.",
            )
        return f"{found:,} rows counted by Athena"

    def _wait(self, look: Callable[[], bool], stage: str, told: Callable[[], str]) -> None:
        waited = 0.0
        while not look():
            if waited >= WAIT_SECONDS_MAX:
                raise VerifyFailed(
                    f"{stage}: after {WAIT_SECONDS_MAX:g} s {told()}.", hint="lakelet logs"
                )
            self._pause(POLL_SECONDS)
            waited += POLL_SECONDS

    def clean_up(self) -> int:
        """Take the run's rows out, and enter them in the ledger as dropped by this check."""
        pipeline, store = self._home.pipeline, self._home.store
        folder = f"{self._table.name}/{day_folder(self._day)}"
        removed = 0
        for key in (key for key, found in self._seen.items() if found):
            try:
                data = store.get(pipeline.transformed_bucket, manifest_key(key))
            except LakeletError:
                continue
            manifest = Manifest.decode(data)
            gone = [one for one in manifest.outputs if one.key.startswith(folder)]
            rows = sum(one.rows for one in gone)
            kept = replace(
                manifest,
                rows=manifest.rows - rows,
                dropped={**manifest.dropped, MARK: manifest.dropped.get(MARK, 0) + rows},
                outputs=tuple(one for one in manifest.outputs if one not in gone),
            )
            for one in gone:
                store.delete(one.bucket, one.key)
                removed += 1
            store.put(pipeline.transformed_bucket, manifest_key(key), kept.encode(),
                      content_type="application/json")  # fmt: skip
        self._home.forget_partition(self._table.name, self._day)
        return removed
