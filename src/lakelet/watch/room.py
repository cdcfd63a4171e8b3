"""The whole room in one object, as the node holds it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakelet.model.ports import Clock
from lakelet.watch.alarm_book import AlarmBook, Notice
from lakelet.watch.alarms import Limits, shipped_alarms
from lakelet.watch.history import MetricHistory
from lakelet.watch.log_book import LogBook
from lakelet.watch.meters import Meters
from lakelet.watch.registry import Metrics
from lakelet.watch.traces import NoTraces, Traces

Post = Callable[[str, dict[str, str]], None]  # a URL and a JSON body; raises where it fails


@dataclass(frozen=True, slots=True)
class Watch:
    """Everything that is measured. The node calls, each on its own schedule:

    `flush` (a second), `tick` (a minute), `tidy` (an hour), `close` (at the end).
    """

    clock: Clock
    metrics: Metrics
    meters: Meters
    history: MetricHistory
    alarms: AlarmBook
    logs: LogBook
    traces: Traces

    def flush(self) -> None:
        """Write what was measured and logged since the last flush."""
        data = self.metrics.drain()
        try:
            self.history.write(data)
        except BaseException:
            self.metrics.give_back(data)
            raise
        self.logs.flush()

    def tick(self) -> list[Notice]:
        """Judge every alarm; what changed. `tell` carries the news."""
        self.flush()
        return self.alarms.tick(self.history, self.clock.now())

    def tell(self, notices: list[Notice], post: Post, log: Any) -> None:
        """Log each change and post it to the alarm's webhooks.

        Other actions (ARNs of topics a user copied from AWS) are noted as not carried out.
        """
        for notice in notices:
            # The first verdict of a quiet alarm is no news to a person.
            calm = log.info if notice.before == "ALARM" else log.debug
            level = log.error if notice.after == "ALARM" else calm
            text = f"alarm {notice.alarm.name}: {notice.before} → {notice.after}. {notice.reason}"
            level(text, extra={"alarm": notice.alarm.name, "state": str(notice.after)})
            for action in notice.actions:
                if not action.startswith(("http://", "https://")):
                    self.alarms.note_action(notice, action, "only webhooks (URLs) are called")
                    continue
                try:
                    post(action, notice.body())
                except Exception as error:  # noqa: BLE001 - the other actions go on
                    self.alarms.note_action(notice, action, type(error).__name__)
                    log.warning("a webhook could not be called", extra={"alarm": notice.alarm.name})
                else:
                    self.alarms.note_action(notice, action)

    def tidy(self) -> None:
        """Let old points get coarser, forget old history and old log events."""
        now = self.clock.now()
        self.history.tidy(now)
        self.alarms.tidy(now)
        self.logs.tidy()

    def close(self) -> None:
        self.flush()
        self.traces.close()
        self.history.close()
        self.alarms.close()
        self.logs.close()


def open_watch(
    clock: Clock,
    pipeline: str,
    folder: Path | None = None,
    *,
    limits: Limits | None = None,
    traces: Traces | None = None,
) -> Watch:
    """Open the room's files in `folder` (made by the caller), or all in memory."""

    def path(name: str) -> str:
        return str(folder / f"{name}.sqlite") if folder else ":memory:"

    metrics = Metrics(clock)
    alarms = AlarmBook(path("alarms"))
    alarms.ensure(shipped_alarms(pipeline, limits), clock.now())
    return Watch(
        clock=clock,
        metrics=metrics,
        meters=Meters(metrics, pipeline),
        history=MetricHistory(path("metrics")),
        alarms=alarms,
        logs=LogBook(clock, path("logs")),
        traces=traces or NoTraces(),
    )
