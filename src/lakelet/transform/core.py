"""Blocks of bytes → tables by day, rejects and counts. No storage, no clock, no threads."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.contract import Contract, Keyring, TableContract
from lakelet.model.schema import QUARANTINE_SCHEMA, TIMESTAMP
from lakelet.model.seen import SeenKeys
from lakelet.transform.blocks import BLOCK_SIZE_BYTES, Block, blocks
from lakelet.transform.check import check, columns_of
from lakelet.transform.days import by_day
from lakelet.transform.duplicates import FirstSeen
from lakelet.transform.exact import read_exact
from lakelet.transform.express import evaluate, holds
from lakelet.transform.fast import FastReader
from lakelet.transform.instants import days_of
from lakelet.transform.personal import NameRules, Pseudonyms, mask_emails
from lakelet.transform.pieces import EXTRAS, GoodRows, Piece
from lakelet.transform.rows import Flaw, Path, Reject, Rows


@dataclass(frozen=True, slots=True)
class Source:
    """Where bytes came from, as the quarantine remembers it."""

    bucket: str
    key: str
    received_at: datetime
    attempts: int = 1


@dataclass(slots=True)
class Transformed:
    """What became of some bytes: `events` is the sum of all the rest, always."""

    tables: dict[tuple[str, date], pa.Table] = field(default_factory=dict)  # (table, day)
    rejects: pa.Table = field(default_factory=QUARANTINE_SCHEMA.empty_table)
    events: int = 0
    duplicates: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # by rule

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())


@dataclass(frozen=True, slots=True)
class Records:
    """A block, read: every record of it as a row or as a reject."""

    block: Block
    groups: list[Rows]
    rejects: list[Reject]


class Transformer:
    """One raw object's passage: fed block by block, it remembers which ids it has seen."""

    def __init__(
        self,
        contract: Contract,
        source: Source,
        *,
        keyring: Keyring | None = None,
        seen: SeenKeys | None = None,
    ) -> None:
        self._contract, self._source = contract, source
        self._pseudonyms = Pseudonyms(contract, keyring)
        self._names = NameRules(contract, self._pseudonyms)
        self._paths = {t.name: tuple(f.path for f in t.fields) for t in contract.tables}
        self._all_paths: tuple[Path, ...] = tuple(dict.fromkeys(sum(self._paths.values(), ())))
        self._reader = FastReader(contract, self._all_paths, self._names)
        owner = f"{source.bucket}/{source.key}"
        self._first_seen = {t.name: FirstSeen(t.name, owner, seen) for t in contract.tables}

    def read(self, block: Block) -> Records:
        """What a block holds. It remembers nothing that matters, so it may run ahead."""
        groups, rejects = self._reader.read(block.data)
        return Records(block, groups, rejects)

    def feed(self, records: Records) -> Transformed:
        """What becomes of it. Blocks come in their order: ids are remembered."""
        result = Transformed()
        block, groups, rejects = records.block, records.groups, list(records.rejects)
        result.events = sum(rows.count for rows in groups) + len(rejects)
        pieces: dict[str, list[Piece]] = {}
        for rows in groups:
            for table, own in self._routed(self._kept(rows, result), rejects):
                for piece in self._own_fields(block, own, table):
                    pieces.setdefault(table.name, []).append(self._checked(piece, table, rejects))
        for table in self._contract.tables:
            if table.name in pieces:
                self._finish(table, GoodRows(pieces[table.name]), result)
        result.rejects = self.quarantine(block, rejects)
        return result

    def quarantine(self, block: Block, rejects: list[Reject]) -> pa.Table:
        """Rejects as rows of the quarantine's schema, in the order of their bytes."""
        rejects = sorted(rejects, key=lambda reject: reject.start)
        source, n = self._source, len(rejects)
        received_at = source.received_at.replace(tzinfo=None)
        columns: dict[str, Any] = {
            "raw": [block.data[r.start : r.end] for r in rejects],
            "reason": [r.flaw.reason for r in rejects],
            "message": [r.flaw.message.encode("utf-8", "replace") for r in rejects],
            "field": [r.flaw.field for r in rejects],
            "source_bucket": [source.bucket] * n,
            "source_key": [source.key] * n,
            "offset_bytes": [block.offset_bytes + r.start for r in rejects],
            "size_bytes": [r.end - r.start for r in rejects],
            "contract_version": [self._contract.version] * n,
            "attempts": [source.attempts] * n,
            "received_at": [received_at] * n,
        }
        return pa.table(columns, schema=QUARANTINE_SCHEMA)

    # --- which events go where ----------------------------------------------------

    def _kept(self, rows: Rows, result: Transformed) -> Rows:
        """Without what the contract asks to drop, whatever else may be wrong with it."""
        for rule in self._contract.drop:
            columns = columns_of(rows, self._contract.default_table, rule.where.columns())
            dropped = holds(rule.where, columns, rows.count)
            if count := pc.sum(dropped).as_py():
                result.dropped[rule.name] = result.dropped.get(rule.name, 0) + count
                rows = rows.take(pc.indices_nonzero(pc.invert(dropped)))
        return rows

    def _routed(self, rows: Rows, rejects: list[Reject]) -> Iterator[tuple[TableContract, Rows]]:
        for table in self._contract.tables:
            if table.where is None:
                yield table, rows
                return
            columns = columns_of(rows, table, table.where.columns())
            own = holds(table.where, columns, rows.count)
            if pc.any(own).as_py():
                yield table, rows.take(pc.indices_nonzero(own))
                rows = rows.take(pc.indices_nonzero(pc.invert(own)))
        flaw = Flaw("route", "no table's condition takes this event")
        rejects += [
            Reject(start, end, flaw)
            for start, end in zip(rows.starts.to_pylist(), rows.ends.to_pylist(), strict=True)
        ]

    def _own_fields(self, block: Block, rows: Rows, table: TableContract) -> Iterator[Rows]:
        """To one table another's fields are undeclared: such events are read again for it."""
        own = self._paths[table.name]
        foreign = [path for path in self._all_paths if path not in own]
        masks = [pc.is_valid(part.values) for path in foreign for part in rows.parts(path)]
        if foreign and rows.nulls is not None:
            masks.append(rows.nulls)
        if not masks or not rows.count:
            yield rows
            return
        mixed = masks[0]
        for mask in masks[1:]:
            mixed = pc.or_(mixed, mask)
        if not pc.any(mixed).as_py():
            yield rows
            return
        yield rows.take(pc.indices_nonzero(pc.invert(mixed)))
        again = pc.indices_nonzero(mixed)
        spans = zip(
            pc.take(rows.starts, again).to_pylist(),
            pc.take(rows.ends, again).to_pylist(),
            strict=True,
        )
        yield read_exact(block.data, spans, own, self._names.scrub)[0]

    # --- what they become -----------------------------------------------------------

    def _checked(self, rows: Rows, table: TableContract, rejects: list[Reject]) -> Piece:
        checked = check(rows, table, self._source.received_at)
        for row, flaw in checked.flaws():
            rejects.append(Reject(rows.starts[row].as_py(), rows.ends[row].as_py(), flaw))
        return Piece.of(rows, checked)

    def _finish(self, table: TableContract, good: GoodRows, result: Transformed) -> None:
        if table.deduplicate:
            keys = good.column(table.deduplicate.column)
            times = good.column(table.event_time.column)
            first = self._first_seen[table.name].of(keys, times)
            if first is not None:
                result.duplicates += good.keep(first)
        rows = self._table(table, good)
        if rows.num_rows:
            days = days_of(rows[table.event_time.column].chunk(0))
            for day, own in by_day(rows, days):
                result.tables[table.name, day] = own

    def _table(self, table: TableContract, good: GoodRows) -> pa.Table:
        """With every column of the table."""
        count = good.count
        taken = good.columns([f.column for f in table.fields if f.stored])
        taken.setdefault(EXTRAS, pa.nulls(count, pa.string()))
        for declared in table.fields:
            if declared.stored and declared.personal:
                taken[declared.column] = self._pseudonyms.column(
                    declared.personal, taken[declared.column]
                )
        received_at = pa.scalar(self._source.received_at.replace(tzinfo=None), TIMESTAMP)
        taken["received_at"] = pa.repeat(received_at, count)
        for column in self._contract.email_in_values:
            if column in taken and pa.types.is_string(taken[column].type):
                taken[column] = mask_emails(taken[column])
        for computed in table.computed:
            taken[computed.column] = evaluate(computed.expression, taken, count)
        return pa.table([taken[name] for name in table.schema.names], schema=table.schema)


def transform_bytes(
    raw: bytes,
    contract: Contract,
    *,
    received_at: datetime,
    source_key: str = "",
    source_bucket: str = "",
    keyring: Keyring | None = None,
    seen: SeenKeys | None = None,
    block_size_bytes: int = BLOCK_SIZE_BYTES,
) -> Transformed:
    """Turn inflated raw bytes into tables by day, rejects and counts: all of it in memory.

    Returns:
        tables: (table, day of event time in UTC) -> rows x `TableContract.schema`, input order.
        rejects: one row an unreadable event, x QUARANTINE_SCHEMA.
    Raises:
        KeyMissing; nothing for bad data: bad data is a reject.
    """
    source = Source(source_bucket, source_key, received_at)
    transformer = Transformer(contract, source, keyring=keyring, seen=seen)
    return combined(
        transformer.feed(transformer.read(block))
        for block in blocks(iter([raw]), block_size_bytes=block_size_bytes)
    )


def combined(results: Iterable[Transformed]) -> Transformed:
    """Blocks' results as one."""
    total = Transformed()
    tables: dict[tuple[str, date], list[pa.Table]] = {}
    rejects = [total.rejects]
    for result in results:
        for at, table in result.tables.items():
            tables.setdefault(at, []).append(table)
        rejects.append(result.rejects)
        total.events += result.events
        total.duplicates += result.duplicates
        for rule, count in result.dropped.items():
            total.dropped[rule] = total.dropped.get(rule, 0) + count
    total.tables = {at: pa.concat_tables(parts) for at, parts in sorted(tables.items())}
    total.rejects = pa.concat_tables(rejects)
    return total
