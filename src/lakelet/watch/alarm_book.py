"""The alarms a node holds: declared, evaluated each minute, their states and history kept."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lakelet.watch.alarms import Alarm, AlarmState, Missing, Verdict, evaluate
from lakelet.watch.history import MetricHistory
from lakelet.watch.queries import MetricQuery, run
from lakelet.watch.registry import MINUTE_SECONDS, SeriesKey
from lakelet.watch.statistics import StatisticSet

HISTORY_DAYS = 30  # as long as CloudWatch tells an alarm's history

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alarms (
    name TEXT PRIMARY KEY, spec TEXT NOT NULL, shipped INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, state_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dismissed (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, at TEXT NOT NULL,
    kind TEXT NOT NULL, summary TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS history_by_name ON history (name, at);
"""


@dataclass(frozen=True, slots=True)
class AlarmStatus:
    alarm: Alarm
    state: AlarmState
    reason: str
    state_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryItem:
    alarm: str
    at: datetime
    kind: str  # ConfigurationUpdate, StateUpdate, Action
    summary: str
    data: str  # JSON


@dataclass(frozen=True, slots=True)
class Notice:
    """An alarm changed its state: what to tell, and whom."""

    alarm: Alarm
    before: AlarmState
    after: AlarmState
    reason: str
    at: datetime

    @property
    def actions(self) -> tuple[str, ...]:
        """Where to tell it; () while the alarm's actions are disabled."""
        if not self.alarm.actions_enabled:
            return ()
        return {
            AlarmState.OK: self.alarm.ok_actions,
            AlarmState.ALARM: self.alarm.alarm_actions,
            AlarmState.INSUFFICIENT_DATA: self.alarm.insufficient_data_actions,
        }[self.after]

    def body(self) -> dict[str, str]:
        """What a webhook is sent: the names that SNS's alarm messages use."""
        return {
            "AlarmName": self.alarm.name,
            "AlarmDescription": self.alarm.description,
            "OldStateValue": self.before,
            "NewStateValue": self.after,
            "NewStateReason": self.reason,
            "StateChangeTime": self.at.isoformat(),
        }


class AlarmBook:
    """One connection, one lock; any thread may call."""

    def __init__(self, path: str = ":memory:") -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def ensure(self, shipped: Iterable[Alarm], now: datetime) -> None:
        """Have the shipped alarms, but for those a user changed or deleted."""
        with self._writing():
            for alarm in shipped:
                row = self._db.execute(
                    "SELECT shipped FROM alarms WHERE name = ?"
                    " UNION ALL SELECT 0 FROM dismissed WHERE name = ?",
                    (alarm.name, alarm.name),
                ).fetchone()
                if row is None:
                    self._insert(alarm, now)
                elif row[0]:
                    self._db.execute(
                        "UPDATE alarms SET spec = ? WHERE name = ?", (_encode(alarm), alarm.name)
                    )

    def put(self, alarm: Alarm, now: datetime) -> None:
        """Create, or replace keeping the state, as PutMetricAlarm does."""
        with self._writing():
            updated = self._db.execute(
                "UPDATE alarms SET spec = ?, shipped = ?, updated_at = ? WHERE name = ?",
                (_encode(alarm), alarm.shipped, now.isoformat(), alarm.name),
            ).rowcount
            if updated:
                self._note(alarm.name, now, "ConfigurationUpdate", f"Alarm {alarm.name!r} updated")
            else:
                self._insert(alarm, now)

    def _insert(self, alarm: Alarm, now: datetime) -> None:
        self._db.execute(
            "INSERT INTO alarms VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(alarm.name, _encode(alarm), alarm.shipped),
                *(AlarmState.INSUFFICIENT_DATA, "Unchecked: Initial alarm creation"),
                *(now.isoformat(), now.isoformat()),
            ),
        )
        self._note(alarm.name, now, "ConfigurationUpdate", f"Alarm {alarm.name!r} created")

    def delete(self, names: Sequence[str], now: datetime) -> list[str]:
        """Those that were there. A shipped alarm stays deleted over a restart."""
        with self._writing():
            there = [name for name in names if self.get(name) is not None]
            for name in there:
                self._db.execute("DELETE FROM alarms WHERE name = ?", (name,))
                self._db.execute("INSERT OR IGNORE INTO dismissed VALUES (?)", (name,))
                self._note(name, now, "ConfigurationUpdate", f"Alarm {name!r} deleted")
        return there

    def get(self, name: str) -> AlarmStatus | None:
        return next(iter(self._select("WHERE name = ?", name)), None)

    def statuses(self) -> list[AlarmStatus]:
        return self._select("ORDER BY name")

    def _select(self, rest: str, *values: str) -> list[AlarmStatus]:
        with self._lock:
            rows = self._db.execute(
                f"SELECT spec, shipped, state, reason, state_at, updated_at FROM alarms {rest}",
                values,
            ).fetchall()
        return [
            AlarmStatus(
                *(_decode(spec, shipped=bool(shipped)), AlarmState(state), reason),
                *(datetime.fromisoformat(state_at), datetime.fromisoformat(updated_at)),
            )
            for spec, shipped, state, reason, state_at, updated_at in rows
        ]

    def enable_actions(self, names: Sequence[str], now: datetime, *, enabled: bool) -> None:
        for status in self.statuses():
            if status.alarm.name in names and status.alarm.actions_enabled != enabled:
                values = {**asdict(status.alarm), "actions_enabled": enabled}
                self.put(_from_values(values, shipped=status.alarm.shipped), now)

    def set_state(self, name: str, state: AlarmState, reason: str, now: datetime) -> Notice | None:
        """SetAlarmState, or an evaluation's verdict; None where nothing changes."""
        with self._writing():
            status = self.get(name)
            if status is None or status.state is state:
                return None
            self._db.execute(
                "UPDATE alarms SET state = ?, reason = ?, state_at = ? WHERE name = ?",
                (state, reason, now.isoformat(), name),
            )
            data = {
                "version": "1.0",
                "oldState": {"stateValue": status.state, "stateReason": status.reason},
                "newState": {"stateValue": state, "stateReason": reason},
            }
            summary = f"Alarm updated from {status.state} to {state}"
            self._note(name, now, "StateUpdate", summary, data)
        return Notice(status.alarm, status.state, state, reason, now)

    def tick(self, history: MetricHistory, now: datetime) -> list[Notice]:
        """Evaluate every alarm on the minutes that are complete; what changed."""
        changed = []
        for status in self.statuses():
            verdict = judge(status, history, now)
            notice = self.set_state(status.alarm.name, verdict.state, verdict.reason, now)
            if notice is not None:
                changed.append(notice)
        return changed

    def note_action(self, notice: Notice, action: str, problem: str | None = None) -> None:
        """Remember that an action was carried out, or was not."""
        did = f"failed: {problem}" if problem else "succeeded"
        with self._writing():
            self._note(notice.alarm.name, notice.at, "Action", f"Action {action} {did}")

    def history(
        self,
        name: str | None = None,
        *,
        kind: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
    ) -> list[HistoryItem]:
        """Newest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT name, at, kind, summary, data FROM history"
                " WHERE (? IS NULL OR name = ?) AND (? IS NULL OR kind = ?)"
                " AND at >= ? AND at < ? ORDER BY id DESC LIMIT ?",
                (
                    *(name, name, kind, kind),
                    start.astimezone(UTC).isoformat() if start else "",
                    end.astimezone(UTC).isoformat() if end else "9999",
                    limit,
                ),
            ).fetchall()
        return [HistoryItem(n, datetime.fromisoformat(at), *rest) for n, at, *rest in rows]

    def tidy(self, now: datetime) -> None:
        before = (now - timedelta(days=HISTORY_DAYS)).isoformat()
        with self._writing():
            self._db.execute("DELETE FROM history WHERE at < ?", (before,))

    def _note(
        self, name: str, at: datetime, kind: str, summary: str, data: dict[str, Any] | None = None
    ) -> None:
        self._db.execute(
            "INSERT INTO history (name, at, kind, summary, data) VALUES (?, ?, ?, ?, ?)",
            (name, at.astimezone(UTC).isoformat(), kind, summary, json.dumps(data or {})),
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.OperationalError):  # SQLite may have done so by itself
                    self._db.execute("ROLLBACK")
                raise


def judge(status: AlarmStatus, history: MetricHistory, now: datetime) -> Verdict:
    """The state an alarm should have, from the whole minutes before `now`."""
    alarm = status.alarm
    period = alarm.period_seconds
    end_at = int(now.timestamp()) // MINUTE_SECONDS * MINUTE_SECONDS
    start_at = end_at - period * alarm.range_periods

    def read(key: SeriesKey, start: int, end: int, step: int) -> dict[int, StatisticSet]:
        """Periods that end with this minute: an alarm need not wait for a whole hour's end."""
        found: dict[int, StatisticSet] = {}
        for at, values in history.read(key, start, end, MINUTE_SECONDS, unit=alarm.unit).items():
            found.setdefault(start + (at - start) // step * step, StatisticSet()).merge(values)
        return found

    points = run(alarm.queries, start_at, end_at, read)[alarm.watched.id]
    datapoints = [points.get(at) for at in range(start_at, end_at, period)]
    return evaluate(alarm, datapoints, status.state)


def _encode(alarm: Alarm) -> str:
    return json.dumps(asdict(alarm))


def _decode(text: str, *, shipped: bool) -> Alarm:
    return _from_values(json.loads(text), shipped=shipped)


def _from_values(values: dict[str, Any], *, shipped: bool) -> Alarm:
    tuples = ("ok_actions", "alarm_actions", "insufficient_data_actions")
    return Alarm(
        **{
            **values,
            "queries": tuple(_query(query) for query in values["queries"]),
            "treat_missing": Missing(values["treat_missing"]),
            **{name: tuple(values[name]) for name in tuples},
            "shipped": shipped,
        }
    )


def _query(values: dict[str, Any]) -> MetricQuery:
    key = values["key"]
    if key is not None:
        dimensions = tuple((name, value) for name, value in key["dimensions"])
        key = SeriesKey(key["namespace"], key["name"], dimensions)
    return MetricQuery(**{**values, "key": key})
