"""A pipeline deployed into the emulator, and what tests do with it."""

import gzip
import io
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakelet.aws.deploy import Deployment
from lakelet.aws.emulator import ACCOUNT, REGION, Emulator, EmulatorSession, without_refused
from lakelet.aws.site import Site, load_site
from lakelet.aws.template import build_template
from lakelet.model.layout import manifest_key
from lakelet.model.manifest import Manifest
from lakelet.model.pipeline import Pipeline
from lakelet.testing.firehose_front import FirehoseFront

WAIT_SECONDS = 90.0
POLL_SECONDS = 0.1  # of a foreign process: there is no clock to move


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "event_type": "page_view",
        "timestamp": f"2026-11-20T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "email": "someone@example.com",
        "ip_address": "203.0.113.9",
        **more,
    }


def ndjson(events: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


@dataclass
class Live:
    emulator: Emulator
    deployment: Deployment
    outputs: dict[str, str]
    front: FirehoseFront = None  # type: ignore[assignment]

    @cached_property
    def session(self) -> EmulatorSession:
        """The account's root."""
        return self.emulator.session()

    @property
    def s3(self) -> Any:
        return self.session.client("s3")

    @property
    def raw(self) -> str:
        return self.outputs["RawBucketName"]

    @property
    def transformed(self) -> str:
        return self.outputs["TransformedBucketName"]

    # --- raw objects ------------------------------------------------------------------

    def put_raw(self, body: bytes, *, key: str = "") -> str:
        """A gzipped raw object under a delivered name, as Firehose puts it."""
        key = key or raw_key()
        self.s3.put_object(Bucket=self.raw, Key=key, Body=gzip.compress(body, mtime=0))
        return key

    def s3_event(self, *keys: str) -> bytes:
        return json.dumps(
            {
                "Records": [
                    {
                        "eventVersion": "2.1",
                        "eventSource": "aws:s3",
                        "eventName": "ObjectCreated:Put",
                        "s3": {"bucket": {"name": self.raw}, "object": {"key": key}},
                    }
                    for key in keys
                ]
            }
        ).encode()

    def invoke(self, payload: bytes) -> dict[str, Any]:
        """Synchronously; `FunctionError` where it raised, `Payload` parsed."""
        answer = self.session.client("lambda").invoke(
            FunctionName=self.outputs["FunctionName"], Payload=payload
        )
        answer["Payload"] = json.loads(answer["Payload"].read() or b"null")
        return dict(answer)

    # --- what became of them ----------------------------------------------------------

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def manifest(self, key: str, *, wait_seconds: float = WAIT_SECONDS) -> Manifest:
        def read() -> Manifest | None:
            if manifest_key(key) not in self.keys(self.transformed, manifest_key(key)):
                return None
            body = self.s3.get_object(Bucket=self.transformed, Key=manifest_key(key))["Body"]
            return Manifest.decode(body.read())

        return until(read, f"the manifest of {key}", wait_seconds)

    def rows(self, manifest: Manifest) -> pa.Table:
        tables = [
            pq.read_table(
                io.BytesIO(self.s3.get_object(Bucket=one.bucket, Key=one.key)["Body"].read())
            )
            for one in manifest.outputs
            if one.table
        ]
        return pa.concat_tables(tables)

    # --- rights -----------------------------------------------------------------------

    def policy(self, actor: str) -> dict[str, Any]:
        """A role's one policy."""
        answer = self.session.client("iam").get_role_policy(
            RoleName=self.role_name(actor), PolicyName="lakelet"
        )
        return dict(answer["PolicyDocument"])

    def role_name(self, actor: str) -> str:
        return f"{self.deployment.site.names.base}-{actor}-{REGION}"

    def session_with(self, policy: Mapping[str, Any]) -> EmulatorSession:
        """Somebody who may do exactly what `policy` says."""
        iam = self.session.client("iam")
        name = f"u-{uuid.uuid4().hex[:12]}"
        iam.create_user(UserName=name)
        if policy["Statement"]:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.emulator.session(key["AccessKeyId"], key["SecretAccessKey"])

    def as_actor(self, actor: str, *, without: str = "") -> EmulatorSession:
        return self.session_with(less(self.policy(actor), without))

    @contextmanager
    def function_without(self, sid: str) -> Iterator[None]:
        """The deployed function's role, for a while, without one statement."""
        iam, policy = self.session.client("iam"), self.policy("transform")
        assert sid in [one["Sid"] for one in policy["Statement"]]

        def put(document: Mapping[str, Any]) -> None:
            iam.put_role_policy(
                RoleName=self.role_name("transform"),
                PolicyName="lakelet",
                PolicyDocument=json.dumps(document),
            )

        put(less(policy, sid))
        try:
            yield
        finally:
            put(policy)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Raw objects put meanwhile start nothing."""
        said = self.s3.get_bucket_notification_configuration(Bucket=self.raw)
        said.pop("ResponseMetadata", None)
        self.s3.put_bucket_notification_configuration(Bucket=self.raw, NotificationConfiguration={})
        try:
            yield
        finally:
            self.s3.put_bucket_notification_configuration(
                Bucket=self.raw, NotificationConfiguration=said
            )


def less(policy: Mapping[str, Any], sid: str) -> dict[str, Any]:
    return {**policy, "Statement": [one for one in policy["Statement"] if one["Sid"] != sid]}


def raw_key() -> str:
    at = datetime(2026, 11, 21, 10, tzinfo=UTC)
    return f"{at:year=%Y/month=%m/day=%d}/clickstream-1-{at:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}.gz"


def until(read: Any, what: str, seconds: float = WAIT_SECONDS) -> Any:
    """The first answer that is not None, of another process's work."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := read()) is not None:
            return found
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"{what} did not come within {seconds:g} s")


def on_aws(site: Site) -> Pipeline:
    """The pipeline as the deployed function names it."""
    return replace(site.pipeline, name=site.names.base, bucket_suffix=f"-{ACCOUNT}-{REGION}")


def deployment_of(emulator: Emulator, site: Site) -> Deployment:
    template = without_refused(build_template(site))
    return Deployment(emulator.session(), site, template=template, poll_seconds=0.2)


@contextmanager
def deployed(emulator: Emulator, folder: Path, site: Site | None = None) -> Iterator[Live]:
    site = site or load_site(None)
    deployment = deployment_of(emulator, site)
    outputs = deployment.apply(deployment.plan())
    live = Live(emulator, deployment, outputs)
    # The stream delivers with its own role's rights, and with nothing else.
    stream = live.as_actor("stream").client("s3")
    with FirehoseFront(on_aws(site), stream, folder) as live.front:
        yield live
