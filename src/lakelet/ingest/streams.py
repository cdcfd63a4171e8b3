"""Delivery streams as resources: made, described, changed, tagged, deleted. Durable."""

import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from lakelet.ingest.database import Database, from_ms, to_ms
from lakelet.ingest.destination import (
    DESTINATION_ID,
    Destination,
    check_buckets,
    declared_configuration,
    describe_destination,
    merge_destination,
    parse_destination,
)
from lakelet.ingest.errors import (
    ConcurrentModification,
    InvalidArgument,
    LimitExceeded,
    ResourceInUse,
    ResourceNotFound,
)
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import Clock

# The service's default quotas of streams a region and tags a stream.
STREAMS_MAX = 5_000
TAGS_MAX = 50

_ARN_PREFIX = "arn:aws:firehose:us-east-1:000000000000:deliverystream/"
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_OFFERED = ("ExtendedS3DestinationConfiguration", "S3DestinationConfiguration")


class Status(StrEnum):
    """Creating takes no time here, so the states in between are never seen."""

    ACTIVE = "ACTIVE"
    DELETING = "DELETING"


@dataclass(frozen=True, slots=True)
class DeliveryStream:
    """One stream as it stands now."""

    name: str
    incarnation: bytes  # 16 random bytes: tells it from an earlier stream of its name
    arn: str
    status: Status
    version: int  # grows with each change of the destination
    created_at: datetime
    updated_at: datetime | None
    config: Mapping[str, Any]  # AWS's ExtendedS3DestinationConfiguration
    destination: Destination  # the same, typed
    tags: Mapping[str, str] = field(default_factory=dict)
    encryption: Mapping[str, str] = field(default_factory=lambda: {"Status": "DISABLED"})

    @property
    def is_encrypted(self) -> bool:
        return self.encryption["Status"] == "ENABLED"

    @property
    def log_folder(self) -> str:
        """Unlike a bare name, it is never `..` and differs where only case does."""
        return f"streams/{self.name}.{self.incarnation.hex()[:16]}"

    @property
    def log_key(self) -> int:
        return int.from_bytes(self.incarnation[:4], "big")

    def describe(self) -> dict[str, Any]:
        """A DeliveryStreamDescription."""
        described = {
            "DeliveryStreamName": self.name,
            "DeliveryStreamARN": self.arn,
            "DeliveryStreamStatus": self.status.value,
            "DeliveryStreamEncryptionConfiguration": dict(self.encryption),
            "DeliveryStreamType": "DirectPut",
            "VersionId": str(self.version),
            "CreateTimestamp": self.created_at,
            "Destinations": [describe_destination(self.config)],
            "HasMoreDestinations": False,
        }
        if self.updated_at:
            described["LastUpdateTimestamp"] = self.updated_at
        return described


class DeliveryStreams:
    """The registry. Thread-safe; reading costs a dict look-up."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._lock = threading.Lock()  # over changes
        self._streams: dict[str, DeliveryStream] = {s.name: s for s in _load(database)}
        self.on_change: Callable[[], None] = lambda: None

    def __iter__(self) -> Any:
        return iter(list(self._streams.values()))

    def get(self, name: str) -> DeliveryStream:
        """Raises ResourceNotFound."""
        try:
            return self._streams[name]
        except KeyError:
            raise ResourceNotFound(
                f"Firehose {name} under account 000000000000 not found.",
                hint="Known: " + (", ".join(sorted(self._streams)[:10]) or "none") + ".",
            ) from None

    def find(self, name: str) -> DeliveryStream | None:
        return self._streams.get(name)

    def destination_at(self, stream: DeliveryStream, version: int) -> Destination:
        """As it was configured when a delivery was begun."""
        if version == stream.version:
            return stream.destination
        rows = self._database.rows(
            "SELECT config FROM versions WHERE incarnation = ? AND version = ?",
            (stream.incarnation, version),
        )
        if not rows:
            return stream.destination
        return parse_destination(json.loads(rows[0][0]), is_stored=True)

    # --- operations, in AWS's shapes ----------------------------------------------

    def create(self, request: Mapping[str, Any]) -> DeliveryStream:
        """CreateDeliveryStream.

        Raises:
            InvalidArgument: not offered, or not valid. ResourceInUse: the name is taken.
            LimitExceeded: too many streams or tags.
        """
        name = request["DeliveryStreamName"]
        if not _NAME.fullmatch(name):
            raise InvalidArgument(
                f"DeliveryStreamName {name!r} is not valid.",
                hint="1 to 64 of letters, digits, `_`, `.` and `-`.",
            )
        config = _requested_configuration(request)
        check_buckets(parse_destination(config))
        with self._lock:
            if name in self._streams:
                raise ResourceInUse(f"Firehose {name} under account 000000000000 already exists.")
            if len(self._streams) >= STREAMS_MAX:
                raise LimitExceeded(f"there are {STREAMS_MAX} delivery streams already.")
            stream = DeliveryStream(
                name=name,
                incarnation=secrets.token_bytes(16),
                arn=_ARN_PREFIX + name,
                status=Status.ACTIVE,
                version=1,
                created_at=self._clock.now(),
                updated_at=None,
                config=config,
                destination=parse_destination(config),
                tags=_merged_tags({}, request.get("Tags", [])),
                encryption=_encryption(request.get("DeliveryStreamEncryptionConfigurationInput")),
            )
            self._save(stream, new_version=True)
        self.on_change()
        return stream

    def names(
        self, *, limit: int = 10, kind: str = "", start_after: str = ""
    ) -> tuple[list[str], bool]:
        """Names in order, and whether there are more."""
        if kind not in ("", "DirectPut"):
            return [], False
        names = sorted(name for name in self._streams if name > start_after)
        return names[:limit], len(names) > limit

    def update_destination(
        self, name: str, *, version: str, destination_id: str, update: Mapping[str, Any]
    ) -> DeliveryStream:
        """Merge a change in; records not yet cut are delivered by it.

        Raises:
            ConcurrentModification: `version` is not the current one.
        """
        with self._lock:
            stream = self._active(name)
            if version != str(stream.version):
                raise ConcurrentModification(
                    f"version {version} of {name} is not current: that is {stream.version}.",
                    hint="Describe the stream, and update what it is now.",
                )
            if destination_id != DESTINATION_ID:
                raise InvalidArgument(
                    f"DestinationId {destination_id!r} is not one of {name}.",
                    hint=f"It has {DESTINATION_ID}.",
                )
            config = merge_destination(stream.config, update)
            check_buckets(parse_destination(config))
            stream = self._changed(stream, config)
        self.on_change()
        return stream

    def declare(self, pipeline: Pipeline) -> DeliveryStream:
        """Make the pipeline's own stream what its declaration says: created, or changed
        by a new version, or left alone."""
        config = declared_configuration(pipeline)
        known = self._streams.get(pipeline.name)
        if known is None:
            return self.create(
                {
                    "DeliveryStreamName": pipeline.name,
                    "ExtendedS3DestinationConfiguration": config,
                }
            )
        with self._lock:
            return known if known.config == config else self._changed(known, config)

    def delete(self, name: str) -> None:
        """No more is accepted; the stream goes once what it holds is delivered."""
        with self._lock:
            stream = self._active(name)
            self._save(replace(stream, status=Status.DELETING))
        self.on_change()

    def forget(self, stream: DeliveryStream) -> None:
        """Its last record is delivered."""
        with self._lock, self._database.transaction() as db:
            db.execute("DELETE FROM streams WHERE name = ?", (stream.name,))
            db.execute("DELETE FROM versions WHERE incarnation = ?", (stream.incarnation,))
            del self._streams[stream.name]

    def tag(self, name: str, tags: Sequence[Mapping[str, str]]) -> None:
        with self._lock:
            stream = self.get(name)
            self._save(replace(stream, tags=_merged_tags(stream.tags, tags)))

    def untag(self, name: str, keys: Sequence[str]) -> None:
        with self._lock:
            stream = self.get(name)
            left = {key: value for key, value in stream.tags.items() if key not in keys}
            self._save(replace(stream, tags=left))

    def list_tags(
        self, name: str, *, limit: int = 50, start_after: str = ""
    ) -> tuple[list[dict[str, str]], bool]:
        tags = sorted((k, v) for k, v in self.get(name).tags.items() if k > start_after)
        return [{"Key": k, "Value": v} for k, v in tags[:limit]], len(tags) > limit

    def start_encryption(self, name: str, request: Mapping[str, str] | None) -> None:
        """The state, as the API shows it. Data at rest here is as safe as its disk."""
        with self._lock:
            self._save(replace(self._active(name), encryption=_encryption(request or {})))

    def stop_encryption(self, name: str) -> None:
        with self._lock:
            self._save(replace(self._active(name), encryption=_encryption(None)))

    # --- inside -------------------------------------------------------------------

    def _active(self, name: str) -> DeliveryStream:
        stream = self.get(name)
        if stream.status is not Status.ACTIVE:
            raise ResourceInUse(f"Firehose {name} is {stream.status}.")
        return stream

    def _changed(self, stream: DeliveryStream, config: Mapping[str, Any]) -> DeliveryStream:
        changed = replace(
            stream,
            config=config,
            destination=parse_destination(config),
            version=stream.version + 1,
            updated_at=self._clock.now(),
        )
        self._save(changed, new_version=True)
        return changed

    def _save(self, stream: DeliveryStream, *, new_version: bool = False) -> None:
        updated_ms = to_ms(stream.updated_at) if stream.updated_at else None
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO streams VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    stream.name,
                    stream.incarnation,
                    stream.arn,
                    stream.status.value,
                    stream.version,
                    to_ms(stream.created_at),
                    updated_ms,
                    json.dumps(dict(stream.tags)),
                    json.dumps(dict(stream.encryption)),
                ),
            )
            if new_version:
                db.execute(
                    "INSERT INTO versions VALUES (?,?,?)",
                    (stream.incarnation, stream.version, json.dumps(dict(stream.config))),
                )
        self._streams = {**self._streams, stream.name: stream}


def _load(database: Database) -> list[DeliveryStream]:
    rows = database.rows(
        "SELECT name, incarnation, arn, status, version, created_ms, updated_ms, tags,"
        " encryption, config FROM streams JOIN versions USING (incarnation, version)"
    )
    return [
        DeliveryStream(
            name=name,
            incarnation=incarnation,
            arn=arn,
            status=Status(status),
            version=version,
            created_at=from_ms(created_ms),
            updated_at=from_ms(updated_ms) if updated_ms is not None else None,
            config=json.loads(config),
            destination=parse_destination(json.loads(config), is_stored=True),
            tags=json.loads(tags),
            encryption=json.loads(encryption),
        )
        for name, incarnation, arn, status, version, created_ms, updated_ms, tags, encryption, (
            config
        ) in rows
    ]


def _requested_configuration(request: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = request.get("DeliveryStreamType", "DirectPut")
    if kind != "DirectPut":
        raise InvalidArgument(
            f"DeliveryStreamType {kind} is not offered by Lakelet.", hint="DirectPut is."
        )
    given = [member for member in request if member.endswith("DestinationConfiguration")]
    if not given:
        raise InvalidArgument(
            "no destination is given.", hint="Set ExtendedS3DestinationConfiguration."
        )
    if len(given) > 1:
        raise InvalidArgument(f"a stream has one destination; given: {', '.join(given)}.")
    if given[0] not in _OFFERED:
        raise InvalidArgument(
            f"{given[0]} is not offered by Lakelet.", hint=f"Offered: {', '.join(_OFFERED)}."
        )
    config: Mapping[str, Any] = request[given[0]]
    return config


def _merged_tags(known: Mapping[str, str], given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    tags = {**known, **{tag["Key"]: tag.get("Value", "") for tag in given}}
    if len(tags) > TAGS_MAX:
        raise LimitExceeded(f"{len(tags)} tags: a stream has at most {TAGS_MAX}.")
    return tags


def _encryption(request: Mapping[str, str] | None) -> dict[str, str]:
    """A DeliveryStreamEncryptionConfiguration; None for encryption switched off."""
    if request is None:
        return {"Status": "DISABLED"}
    kind = request.get("KeyType", "AWS_OWNED_CMK")
    if kind == "CUSTOMER_MANAGED_CMK" and not request.get("KeyARN"):
        raise InvalidArgument("KeyARN is required where KeyType is CUSTOMER_MANAGED_CMK.")
    if kind == "AWS_OWNED_CMK" and request.get("KeyARN"):
        raise InvalidArgument("KeyARN can't be given where KeyType is AWS_OWNED_CMK.")
    key = {"KeyARN": request["KeyARN"]} if request.get("KeyARN") else {}
    return {"Status": "ENABLED", "KeyType": kind, **key}
