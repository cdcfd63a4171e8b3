"""The ledger of deliveries: which records went into which object.

A cut and the keys of its objects are durable before the first object is written,
and done only after the last one is: a delivery that a crash cut short is repeated
with the same records under the same names.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakelet.ingest.database import Database, from_ms, to_ms

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Cut:
    """Records of one stream to be delivered together: positions [first, end)."""

    stream: str
    incarnation: bytes
    first_position: int
    end_position: int
    version: int  # of the configuration they are delivered by
    arrived_at: datetime  # of the oldest


@dataclass(frozen=True, slots=True)
class PlannedObject:
    """Where one group of a cut's records goes. The group "" is the whole cut."""

    group: str
    bucket: str
    key: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One object, durable in its bucket, with the part of the log it came from."""

    stream: str
    incarnation: bytes
    first_position: int  # of its cut
    end_position: int  # of its cut
    arrived_at: datetime  # of the cut's oldest record
    bucket: str
    key: str
    is_error: bool  # records that couldn't be processed, in Firehose's error format
    etag: str
    size_bytes: int  # as stored
    records: int  # in this object
    blank_records: int  # of these, empty or only white space: no event can be in them
    delivered_at: datetime
    group: str = ""

    @property
    def is_backup(self) -> bool:
        """The source records once more, beside what they became."""
        return self.group == "backup"


@dataclass(frozen=True, slots=True)
class DoneCut:
    """A cut that is delivered, and what became of its records, written down as it was done.

    So it is judged by the processors of then, whatever its stream does now, and when it is gone.
    """

    cut: Cut
    damaged_records: int  # acknowledged, and no longer readable when their turn came
    dropped_records: int  # by processors
    parted_records: int | None  # more than came in, by processors; None: nobody counted them


class Ledger:
    """Thread-safe, durable on return."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, cut: Cut, objects: Sequence[PlannedObject]) -> None:
        """The intent to deliver; repeating it replaces the planned objects."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO cuts (incarnation, first_position, end_position, stream,"
                " version, arrived_ms, damaged_records, dropped_records)"
                " VALUES (?,?,?,?,?,?,0,0)",
                (
                    cut.incarnation,
                    cut.first_position,
                    cut.end_position,
                    cut.stream,
                    cut.version,
                    to_ms(cut.arrived_at),
                ),
            )
            db.execute(
                "DELETE FROM objects WHERE incarnation = ? AND first_position = ?",
                (cut.incarnation, cut.first_position),
            )
            db.executemany(
                "INSERT INTO objects (incarnation, first_position, object_group, bucket, key,"
                " is_error) VALUES (?,?,?,?,?,?)",
                [
                    (cut.incarnation, cut.first_position, o.group, o.bucket, o.key, o.is_error)
                    for o in objects
                ],
            )

    def finish(
        self,
        cut: Cut,
        deliveries: Sequence[Delivery],
        damaged_records: int = 0,
        dropped_records: int = 0,
        parted_records: int | None = None,
    ) -> None:
        """The cut is done: its objects are durable, and whoever waits for them knows."""
        with self._database.transaction() as db:
            db.executemany(
                "UPDATE objects SET etag=?, size_bytes=?, records=?, blank_records=?"
                " WHERE incarnation=? AND first_position=? AND object_group=?",
                [
                    (
                        d.etag,
                        d.size_bytes,
                        d.records,
                        d.blank_records,
                        cut.incarnation,
                        cut.first_position,
                        d.group,
                    )
                    for d in deliveries
                ],
            )
            at = max((d.delivered_at for d in deliveries), default=cut.arrived_at)
            db.execute(
                "UPDATE cuts SET delivered_ms=?, damaged_records=?, dropped_records=?,"
                " parted_records=? WHERE incarnation=? AND first_position=?",
                (
                    to_ms(at),
                    damaged_records,
                    dropped_records,
                    parted_records,
                    cut.incarnation,
                    cut.first_position,
                ),
            )

    def pending(self, incarnation: bytes) -> tuple[Cut, Mapping[str, PlannedObject]] | None:
        """The cut that was begun and not finished: one a stream at most."""
        # Cuts are begun in order, each after the one before it is done: it can only be the
        # last. (Looking for it among all would take longer with every delivery.)
        rows = self._database.rows(
            "SELECT stream, first_position, end_position, version, arrived_ms, delivered_ms"
            " FROM cuts WHERE incarnation = ? ORDER BY first_position DESC LIMIT 1",
            (incarnation,),
        )
        if not rows or rows[0][5] is not None:
            return None
        stream, first, end, version, arrived_ms, _ = rows[0]
        cut = Cut(stream, incarnation, first, end, version, from_ms(arrived_ms))
        objects = self._database.rows(
            "SELECT object_group, bucket, key, is_error FROM objects"
            " WHERE incarnation = ? AND first_position = ?",
            (incarnation, first),
        )
        planned = [PlannedObject(*row) for row in objects]
        return cut, {each.group: each for each in planned}

    def position_delivered(self, incarnation: bytes) -> int:
        """Every record below it is in an object."""
        rows = self._database.rows(
            "SELECT end_position FROM cuts WHERE incarnation = ? AND delivered_ms IS NOT NULL"
            " ORDER BY first_position DESC LIMIT 1",
            (incarnation,),
        )
        return int(rows[0][0]) if rows else 0

    def deliveries(self, stream: str = "") -> Iterator[Delivery]:
        """Finished ones, of one stream name or of all, incarnation by incarnation in order."""
        after: tuple[bytes, int, str] = (b"", -1, "")
        while True:
            rows = self._database.rows(
                "SELECT c.stream, c.incarnation, c.first_position, c.end_position, c.arrived_ms,"
                " o.bucket, o.key, o.is_error, o.etag, o.size_bytes, o.records, o.blank_records,"
                " c.delivered_ms, o.object_group"
                " FROM cuts c JOIN objects o USING (incarnation, first_position)"
                " WHERE c.delivered_ms IS NOT NULL AND (? = '' OR c.stream = ?)"
                " AND (c.incarnation, c.first_position, o.object_group) > (?, ?, ?)"
                " ORDER BY c.incarnation, c.first_position, o.object_group LIMIT ?",
                (stream, stream, *after, _PAGE),
            )
            for row in rows:
                yield _delivery(row)
            if len(rows) < _PAGE:
                return
            last = rows[-1]
            after = (last[1], last[2], last[13])

    def cuts(self) -> Iterator[DoneCut]:
        """Finished ones, incarnation by incarnation in order; those that left no object, too."""
        after: tuple[bytes, int] = (b"", -1)
        while True:
            rows = self._database.rows(
                "SELECT stream, incarnation, first_position, end_position, version, arrived_ms,"
                " damaged_records, dropped_records, parted_records FROM cuts"
                " WHERE delivered_ms IS NOT NULL AND (incarnation, first_position) > (?, ?)"
                " ORDER BY incarnation, first_position LIMIT ?",
                (*after, _PAGE),
            )
            for row in rows:
                yield _done_cut(row)
            if len(rows) < _PAGE:
                return
            after = (rows[-1][1], rows[-1][2])

    def damaged_records(self, stream: str) -> int:
        """Acknowledged, and no longer readable when their turn came."""
        return self._sum("damaged_records", stream)

    def dropped_records(self, stream: str) -> int:
        """By the stream's own function."""
        return self._sum("dropped_records", stream)

    def _sum(self, column: str, stream: str) -> int:
        rows = self._database.rows(
            f"SELECT coalesce(sum({column}), 0) FROM cuts WHERE stream = ? AND {column} > 0",
            (stream,),
        )
        return int(rows[0][0])


def _delivery(values: tuple[Any, ...]) -> Delivery:
    return Delivery(
        stream=values[0],
        incarnation=values[1],
        first_position=values[2],
        end_position=values[3],
        arrived_at=from_ms(values[4]),
        bucket=values[5],
        key=values[6],
        is_error=bool(values[7]),
        etag=values[8],
        size_bytes=values[9],
        records=values[10],
        blank_records=values[11],
        delivered_at=from_ms(values[12]),
        group=values[13],
    )


def _done_cut(values: tuple[Any, ...]) -> DoneCut:
    stream, incarnation, first, end, version, arrived_ms, damaged, dropped, parted = values
    cut = Cut(stream, incarnation, first, end, version, from_ms(arrived_ms))
    return DoneCut(cut, damaged, dropped, parted)
