"""Crawlers: what they are told to read, and where they stand."""

from collections.abc import Mapping, Sequence
from typing import Any

from lakelet.catalog.databases import Shape
from lakelet.catalog.db import instant, pack, unpack
from lakelet.catalog.errors import (
    AlreadyExists,
    CrawlerNotRunning,
    CrawlerRunning,
    CrawlerStopping,
    EntityNotFound,
    InvalidInput,
)
from lakelet.catalog.paging import page
from lakelet.catalog.partitions import Partitions

READY, RUNNING, STOPPING = "READY", "RUNNING", "STOPPING"

_PAGE = 100
_DEFAULT_POLICY = {
    "UpdateBehavior": "UPDATE_IN_DATABASE",
    "DeleteBehavior": "DEPRECATE_IN_DATABASE",
}


class Crawlers(Partitions):
    """CreateCrawler, GetCrawler(s), UpdateCrawler, DeleteCrawler, Start and Stop, metrics.

    States go READY → RUNNING → (STOPPING →) READY. Who carries out a crawl calls
    `start_crawler`, then plans and applies, then `finish_crawler`.
    """

    def create_crawler(self, crawler: Shape) -> None:
        """Takes CreateCrawler's request. Raises AlreadyExists, InvalidInput."""
        body = _normal_crawler(crawler)
        now = self._clock.now().timestamp()
        with self._db.transaction():
            if self._crawler_row(body["Name"]):
                raise AlreadyExists(f"Crawler {body['Name']} already exists.")
            self._db.run(
                "INSERT INTO crawlers VALUES (?, ?, 1, ?, ?, NULL, ?, NULL, NULL)",
                *(body["Name"], READY, now, now, pack(body)),
            )

    def get_crawler(self, name: str) -> Shape:
        """A `Crawler` structure. Raises EntityNotFound."""
        return self._crawler(self._require_crawler(name))

    def get_crawlers(
        self, token: str | None = None, max_results: int | None = None
    ) -> tuple[list[Shape], str | None]:
        rows = self._db.rows(f"{_SELECT} ORDER BY name")
        found, following = page(rows, token, max_results, _PAGE)
        return [self._crawler(row) for row in found], following

    def crawler_names(self) -> list[str]:
        return [name for (name,) in self._db.rows("SELECT name FROM crawlers ORDER BY name")]

    def update_crawler(self, changes: Shape) -> None:
        """Takes UpdateCrawler's request: what it leaves out stays. Raises CrawlerRunning."""
        with self._db.transaction():
            row = self._require_crawler(changes["Name"])
            _refuse_busy(row)
            body = _normal_crawler({**unpack(row[6]), **changes})
            self._db.run(
                "UPDATE crawlers SET body = ?, version = version + 1, updated_at = ?"
                " WHERE name = ?",
                *(pack(body), self._clock.now().timestamp(), body["Name"]),
            )

    def delete_crawler(self, name: str) -> None:
        """Raises EntityNotFound, CrawlerRunning."""
        with self._db.transaction():
            _refuse_busy(self._require_crawler(name))
            self._db.run("DELETE FROM crawlers WHERE name = ?", name)

    # --- runs -----------------------------------------------------------------------

    def start_crawler(self, name: str) -> None:
        """Mark it RUNNING; the caller carries the crawl out. Raises CrawlerRunning."""
        with self._db.transaction():
            row = self._require_crawler(name)
            if row[1] != READY:
                raise CrawlerRunning(
                    f"Crawler {name} is {row[1]}.", hint="Wait until its state is READY."
                )
            self._db.run(
                "UPDATE crawlers SET state = ?, started_at = ? WHERE name = ?",
                *(RUNNING, self._clock.now().timestamp(), name),
            )

    def stop_crawler(self, name: str) -> None:
        """Ask it to end; the crawl sees STOPPING. Raises CrawlerNotRunning, CrawlerStopping."""
        with self._db.transaction():
            state = self._require_crawler(name)[1]
            if state == READY:
                raise CrawlerNotRunning(f"Crawler {name} is not running.")
            if state == STOPPING:
                raise CrawlerStopping(f"Crawler {name} is stopping already.")
            self._db.run("UPDATE crawlers SET state = ? WHERE name = ?", STOPPING, name)

    def finish_crawler(
        self, name: str, status: str, *, message: str = "", metrics: Mapping[str, Any] | None = None
    ) -> None:
        """Record how a crawl ended and make the crawler READY again.

        Args:
            status: SUCCEEDED, CANCELLED or FAILED.
            metrics: TablesCreated, TablesUpdated, TablesDeleted of this run.
        """
        with self._db.transaction():
            row = self._require_crawler(name)
            now = self._clock.now().timestamp()
            started_at = row[5] or now
            last = {
                "Status": status,
                "ErrorMessage": message or None,
                "StartTime": started_at,
                "LogGroup": "/aws-glue/crawlers",
                "LogStream": name,
            }
            totals = unpack(row[8]) if row[8] else {}
            for key in ("TablesCreated", "TablesUpdated", "TablesDeleted"):
                totals[key] = totals.get(key, 0) + (metrics or {}).get(key, 0)
            runs = [*totals.get("RuntimesSeconds", []), max(0.0, now - started_at)][-100:]
            totals["RuntimesSeconds"] = runs
            self._db.run(
                "UPDATE crawlers SET state = ?, last_crawl = ?, metrics = ? WHERE name = ?",
                *(READY, pack(last), pack(totals), name),
            )

    def recover_crawlers(self) -> list[str]:
        """After a restart: a crawl that was running died with its process."""
        with self._db.transaction():
            names = [
                name
                for (name,) in self._db.rows("SELECT name FROM crawlers WHERE state != 'READY'")
            ]
            for name in names:
                self.finish_crawler(name, "FAILED", message="The node stopped during the crawl.")
        return names

    def get_crawler_metrics(
        self,
        names: Sequence[str] | None = None,
        token: str | None = None,
        max_results: int | None = None,
    ) -> tuple[list[Shape], str | None]:
        rows = self._db.rows(f"{_SELECT} ORDER BY name")
        chosen = [row for row in rows if not names or row[0] in names]
        found, following = page(chosen, token, max_results, _PAGE)
        return [self._metrics(row) for row in found], following

    # --- inside -----------------------------------------------------------------------

    def _crawler_row(self, name: str) -> tuple[Any, ...] | None:
        return self._db.row(f"{_SELECT} WHERE name = ?", name)

    def _require_crawler(self, name: str) -> tuple[Any, ...]:
        row = self._crawler_row(name)
        if row is None:
            raise EntityNotFound(f"Crawler {name} not found.", hint="ListCrawlers names them all.")
        return row

    def _crawler(self, row: tuple[Any, ...]) -> Shape:
        _, state, version, created_at, updated_at, started_at, body, last_crawl, _ = row
        crawler = {
            **unpack(body),
            "State": state,
            "Version": version,
            "CreationTime": instant(created_at),
            "LastUpdated": instant(updated_at),
            "CrawlElapsedTime": 0,
        }
        if state != READY and started_at:
            elapsed_seconds = self._clock.now().timestamp() - started_at
            crawler["CrawlElapsedTime"] = int(max(0.0, elapsed_seconds) * 1_000)
        if last_crawl:
            last = unpack(last_crawl)
            crawler["LastCrawl"] = {**last, "StartTime": instant(last["StartTime"])}
        return crawler

    def _metrics(self, row: tuple[Any, ...]) -> Shape:
        totals = unpack(row[8]) if row[8] else {}
        runs = totals.pop("RuntimesSeconds", [])
        crawler = self._crawler(row)
        return {
            "CrawlerName": row[0],
            "StillEstimating": False,
            "TimeLeftSeconds": 0.0,
            "LastRuntimeSeconds": runs[-1] if runs else 0.0,
            "MedianRuntimeSeconds": sorted(runs)[len(runs) // 2] if runs else 0.0,
            "TablesCreated": totals.get("TablesCreated", 0),
            "TablesUpdated": totals.get("TablesUpdated", 0),
            "TablesDeleted": totals.get("TablesDeleted", 0),
        } | ({"StillEstimating": True} if crawler["State"] != READY else {})


_SELECT = (
    "SELECT name, state, version, created_at, updated_at, started_at, body, last_crawl, metrics"
    " FROM crawlers"
)


def _refuse_busy(row: tuple[Any, ...]) -> None:
    if row[1] == READY:
        return
    raise CrawlerRunning(f"Crawler {row[0]} is {row[1]}.", hint="Stop it, or wait until it ends.")


def _normal_crawler(crawler: Shape) -> Shape:
    """A crawler's configuration with its defaults. Raises InvalidInput."""
    body = {key: value for key, value in crawler.items() if key != "Tags"}
    targets = (body.get("Targets") or {}).get("S3Targets") or []
    if not targets:
        raise InvalidInput(
            f"Crawler {body.get('Name')} has no S3 target.",
            hint="Give Targets={'S3Targets': [{'Path': 's3://bucket/prefix/'}]}.",
        )
    for target in targets:
        if not str(target.get("Path", "")).removeprefix("s3://").strip("/"):
            raise InvalidInput(f"S3 target {target.get('Path')!r} names no bucket.")
    body["SchemaChangePolicy"] = {**_DEFAULT_POLICY, **(body.get("SchemaChangePolicy") or {})}
    body["RecrawlPolicy"] = body.get("RecrawlPolicy") or {"RecrawlBehavior": "CRAWL_EVERYTHING"}
    if body["RecrawlPolicy"].get("RecrawlBehavior") == "CRAWL_NEW_FOLDERS_ONLY" and set(
        body["SchemaChangePolicy"].values()
    ) != {"LOG"}:
        raise InvalidInput(
            "CRAWL_NEW_FOLDERS_ONLY needs UpdateBehavior and DeleteBehavior LOG.",
            hint="Set both to LOG, or use CRAWL_EVERYTHING, which is incremental here too.",
        )
    schedule = body.pop("Schedule", None)
    if schedule:
        text = schedule if isinstance(schedule, str) else schedule.get("ScheduleExpression", "")
        body["Schedule"] = {"ScheduleExpression": text, "State": "SCHEDULED"}
    body.setdefault("Classifiers", [])
    return body
