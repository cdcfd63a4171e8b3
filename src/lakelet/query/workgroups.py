"""Workgroups: where results go, and what a query may cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakelet.catalog.db import Database, instant, pack, unpack
from lakelet.catalog.paging import page
from lakelet.model.ports import Clock
from lakelet.query.errors import InvalidRequest

Shape = dict[str, Any]

PRIMARY = "primary"
ENGINE = {
    "SelectedEngineVersion": "Athena engine version 3",
    "EffectiveEngineVersion": "Athena engine version 3",
}
_CUTOFF_LEAST = 10_000_000  # bytes, Athena's own least BytesScannedCutoffPerQuery
_PAGE = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """What a workgroup says about one of its queries."""

    output_location: str  # ends in "/"
    cutoff_bytes: int | None


class Workgroups:
    """CreateWorkGroup, GetWorkGroup, ListWorkGroups, UpdateWorkGroup, DeleteWorkGroup."""

    def __init__(self, db: Database, clock: Clock, results_bucket: str) -> None:
        self._db = db
        self._clock = clock
        self._results_bucket = results_bucket
        with db.transaction():
            if not self._row(PRIMARY):
                # With a location: clients that find none ask STS for the account, to
                # make up a bucket of their own.
                configuration = {
                    "EnforceWorkGroupConfiguration": False,
                    "ResultConfiguration": {"OutputLocation": f"s3://{results_bucket}/primary/"},
                }
                body = {"Name": PRIMARY, "State": "ENABLED", "Configuration": configuration}
                self._insert(PRIMARY, body)

    def create(self, request: Mapping[str, Any]) -> None:
        """Takes CreateWorkGroup's request. Raises InvalidRequest."""
        name = request["Name"]
        configuration = _normal(request.get("Configuration") or {})
        body = {
            "Name": name,
            "State": "ENABLED",
            "Description": request.get("Description"),
            "Configuration": configuration,
        }
        with self._db.transaction():
            if self._row(name):
                raise InvalidRequest(f"WorkGroup {name} is already created.")
            self._insert(name, body)

    def ensure(self, name: str, configuration: Mapping[str, Any], description: str = "") -> None:
        """Make it so, new or not: for the workgroup that a pipeline declares."""
        body = {
            "Name": name,
            "State": "ENABLED",
            "Description": description or None,
            "Configuration": _normal(configuration),
        }
        with self._db.transaction():
            row = self._row(name)
            if row is None:
                self._insert(name, body)
            else:
                self._db.run("UPDATE workgroups SET body = ? WHERE name = ?", pack(body), name)

    def get(self, name: str) -> Shape:
        """A `WorkGroup` structure. Raises InvalidRequest, as Athena does for an unknown one."""
        row = self._row(name)
        if row is None:
            raise InvalidRequest(
                f"WorkGroup {name} is not found.", hint="ListWorkGroups names them all."
            )
        body = unpack(row[0])
        configuration = {
            "EnforceWorkGroupConfiguration": True,
            "PublishCloudWatchMetricsEnabled": True,
            "RequesterPaysEnabled": False,
            "EngineVersion": ENGINE,
            **body.get("Configuration", {}),
        }
        return {**body, "Configuration": configuration, "CreationTime": instant(row[1])}

    def summaries(
        self, token: str | None = None, max_results: int | None = None
    ) -> tuple[list[Shape], str | None]:
        """`WorkGroupSummary` structures, in name order."""
        names = [name for (name,) in self._db.rows("SELECT name FROM workgroups ORDER BY name")]
        chosen, following = page(names, token, max_results, _PAGE)
        return [self._summary(name) for name in chosen], following

    def update(self, request: Mapping[str, Any]) -> None:
        """Takes UpdateWorkGroup's request."""
        with self._db.transaction():
            body = self.get(request["WorkGroup"])
            body.pop("CreationTime")
            if request.get("Description") is not None:
                body["Description"] = request["Description"]
            if request.get("State"):
                body["State"] = request["State"]
            configuration = _updated(
                body["Configuration"], request.get("ConfigurationUpdates") or {}
            )
            body["Configuration"] = _normal(configuration)
            self._db.run(
                "UPDATE workgroups SET body = ? WHERE name = ?", pack(body), request["WorkGroup"]
            )

    def delete(self, name: str, *, recursive: bool = False) -> None:
        """Raises InvalidRequest: `primary`; one with named queries or executions left."""
        if name == PRIMARY:
            raise InvalidRequest("The primary workgroup cannot be deleted.")
        with self._db.transaction():
            self.get(name)
            used = [
                table
                for table in ("named_queries", "prepared", "executions")
                if self._db.row(f"SELECT 1 FROM {table} WHERE workgroup = ? LIMIT 1", name)
            ]
            if used and not recursive:
                raise InvalidRequest(
                    f"WorkGroup {name} is not empty.",
                    hint="Set RecursiveDeleteOption to delete what is in it too.",
                )
            for table in ("named_queries", "prepared", "executions"):
                self._db.run(f"DELETE FROM {table} WHERE workgroup = ?", name)
            self._db.run("DELETE FROM workgroups WHERE name = ?", name)

    def limits(self, name: str, client_location: str | None) -> Limits:
        """Where a query of this workgroup writes and how much it may read.

        An enforcing workgroup's location wins over the client's; a workgroup
        without one leaves the client's, and at last the results bucket.

        Raises:
            InvalidRequest: the workgroup is unknown or disabled.
        """
        workgroup = self.get(name)
        if workgroup["State"] != "ENABLED":
            raise InvalidRequest(f"WorkGroup {name} is disabled.", hint="Enable it first.")
        configuration = workgroup["Configuration"]
        own = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
        enforced = configuration["EnforceWorkGroupConfiguration"]
        chosen = (own if enforced else client_location or own) or client_location
        chosen = chosen or f"s3://{self._results_bucket}/"
        if not chosen.startswith("s3://") or not chosen.removeprefix("s3://").strip("/"):
            raise InvalidRequest(
                f"outputLocation {chosen!r} is not a valid S3 path.",
                hint="Write s3://bucket/prefix/.",
            )
        location = chosen if chosen.endswith("/") else f"{chosen}/"
        return Limits(location, configuration.get("BytesScannedCutoffPerQuery"))

    def _row(self, name: str) -> tuple[Any, ...] | None:
        return self._db.row("SELECT body, created_at FROM workgroups WHERE name = ?", name)

    def _insert(self, name: str, body: Shape) -> None:
        now = self._clock.now().timestamp()
        self._db.run("INSERT INTO workgroups VALUES (?, ?, ?)", name, now, pack(body))

    def _summary(self, name: str) -> Shape:
        workgroup = self.get(name)
        return {
            "Name": name,
            "State": workgroup["State"],
            "Description": workgroup.get("Description") or "",
            "CreationTime": workgroup["CreationTime"],
            "EngineVersion": ENGINE,
        }


def _normal(configuration: Mapping[str, Any]) -> Shape:
    cutoff = configuration.get("BytesScannedCutoffPerQuery")
    if cutoff is not None and cutoff < _CUTOFF_LEAST:
        raise InvalidRequest(
            f"BytesScannedCutoffPerQuery {cutoff} is less than {_CUTOFF_LEAST}.",
            hint="Leave it out for no limit.",
        )
    return dict(configuration)


def _updated(configuration: Shape, updates: Mapping[str, Any]) -> Shape:
    """ConfigurationUpdates applied: `Remove…` members take a setting away."""
    changed = dict(configuration)
    if updates.get("RemoveBytesScannedCutoffPerQuery"):
        changed.pop("BytesScannedCutoffPerQuery", None)
    results = dict(changed.get("ResultConfiguration") or {})
    result_updates = dict(updates.get("ResultConfigurationUpdates") or {})
    for key in ("OutputLocation", "EncryptionConfiguration", "ExpectedBucketOwner"):
        if result_updates.pop(f"Remove{key}", False):
            results.pop(key, None)
    results |= result_updates
    if results or "ResultConfiguration" in changed:
        changed["ResultConfiguration"] = results
    plain = {
        key: value
        for key, value in updates.items()
        if not key.startswith("Remove") and key != "ResultConfigurationUpdates"
    }
    return {**changed, **plain}
