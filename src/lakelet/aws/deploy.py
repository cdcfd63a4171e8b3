"""Deploying: look, plan, show, apply. What to do is decided in `stack`, `preflight` and
`template`; here it is carried out, through one boto3 session.

A first deployment has two steps, because code must lie somewhere before a function can have
it: the stack is born with the scripts bucket alone, the code goes in, and the rest follows as
an update. Every later one is an update too, so a failure always goes back to what stood.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from lakelet.aws.cfn import compact, subset, with_names
from lakelet.aws.keyring import ensure_keyring, schedule_deletion
from lakelet.aws.looks import Account, Check
from lakelet.aws.package import Artifact, Package, build_package
from lakelet.aws.preflight import check_all, refuse, who_am_i
from lakelet.aws.site import Site
from lakelet.aws.stack import (
    NOTHING_TO_DO,
    Change,
    Effect,
    StackBusy,
    StackFailed,
    changes_of_new,
    changes_of_set,
    failure,
    is_busy,
)
from lakelet.aws.template import FOUNDATION, build_template
from lakelet.aws.template_storage import ZONES
from lakelet.aws.waiting import POLL_SECONDS, Progress, StackWatch, Tell, silent
from lakelet.model.errors import LakeletError

ATTEMPTS = 3  # IAM tells a new role around within seconds; a stack's update takes longer
WAIT_BETWEEN_ATTEMPTS_SECONDS = 15.0
CHANGE_SET_WAIT_SECONDS = 300.0


class NotDeployed(LakeletError):
    code = "aws.not_deployed"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do."""

    account: Account
    checks: tuple[Check, ...]
    changes: tuple[Change, ...]
    first: bool
    change_set: str = ""  # its name, where one waits to be carried out

    @property
    def losses(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.loses_data)


@dataclass(frozen=True, slots=True)
class StackState:
    status: str  # "" where there is none
    outputs: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)  # logical id → physical id


class Deployment:
    """One pipeline in one account and region."""

    def __init__(
        self,
        session: Any,
        site: Site,
        *,
        template: Mapping[str, Any] | None = None,
        tell: Tell = silent,
        pause: Callable[[float], None] = time.sleep,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """
        Args:
            session: a boto3 session: credentials, region and endpoint are its own.
            template: instead of the one built from `site`.
            pause: waits so many seconds.
        """
        self.site = site
        self.template = template or build_template(site)
        self._session, self._tell, self._pause = session, tell, pause
        self._poll_seconds = poll_seconds
        self._cloudformation = session.client("cloudformation")
        self._watch = StackWatch(
            self._cloudformation, self.stack_name, tell=tell, pause=pause, poll_seconds=poll_seconds
        )

    @property
    def stack_name(self) -> str:
        return self.site.names.stack

    @property
    def region(self) -> str:
        return str(self._session.region_name)

    def tell_to(self, tell: Tell) -> None:
        """Whom to tell from here on."""
        self._tell = tell
        self._watch.tell_to(tell)

    # --- looking --------------------------------------------------------------------

    def state(self) -> StackState:
        try:
            (stack,) = self._cloudformation.describe_stacks(StackName=self.stack_name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return StackState("")
            raise
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
        return StackState(stack["StackStatus"], outputs, self._resources())

    def _resources(self) -> dict[str, str]:
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=self.stack_name
        )
        return {
            one["LogicalResourceId"]: one.get("PhysicalResourceId", "")
            for page in pages
            for one in page["StackResourceSummaries"]
        }

    def outputs(self) -> dict[str, str]:
        """Raises NotDeployed."""
        outputs = dict(self.state().outputs)
        if "DeliveryStreamName" not in outputs:
            raise NotDeployed(
                f"There is no stack {self.stack_name} here.",
                hint="Deploy it: lakelet deploy; or name another --stage, --region, --profile.",
            )
        return outputs

    # --- planning --------------------------------------------------------------------

    def plan(self) -> Plan:
        """Look at everything and say what would change. On an existing stack the code is
        uploaded and a change set made, but nothing that runs is touched.

        Raises:
            PreflightFailed, StackBusy, StackFailed, PackageTooLarge.
        """
        account = who_am_i(self._session)
        state = self._usable_state()
        checks = tuple(check_all(self._session, self.site, account, state.resources))
        refuse(list(checks))
        package = build_package(self.site.pipeline, self.site.contract)
        if "ScriptsBucket" not in state.resources:
            kept = {f"{zone.capitalize()}Bucket" for zone in self._kept(account)}
            return Plan(account, checks, tuple(changes_of_new(self.template, kept)), first=True)
        change_set, changes = self._propose(self.template, account, package)
        return Plan(account, checks, tuple(changes), first=False, change_set=change_set)

    def discard(self, plan: Plan) -> None:
        """Leave no change set behind."""
        if plan.change_set:
            self._cloudformation.delete_change_set(**self._named(plan.change_set))

    def _usable_state(self) -> StackState:
        state = self.state()
        if is_busy(state.status):
            raise StackBusy(
                f"Stack {self.stack_name} is {state.status}: somebody is deploying.",
                hint="Wait for it; `lakelet deploy` may then simply be run again.",
            )
        if state.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            # A first creation that failed: CloudFormation only lets it be deleted.
            self._tell(Progress(f"removing what a failed first attempt left ({state.status})"))
            self._cloudformation.delete_stack(StackName=self.stack_name)
            self._watch.wait("DELETE")
            return StackState("")
        if state.status == "UPDATE_ROLLBACK_FAILED":
            self._tell(Progress("finishing the way back of a failed update"))
            self._cloudformation.continue_update_rollback(StackName=self.stack_name)
            self._watch.wait("UPDATE")
            return self.state()
        return state

    def _propose(
        self, template: Mapping[str, Any], account: Account, package: Package | None
    ) -> tuple[str, list[Change]]:
        """Make a change set; ("", []) where there is nothing to change."""
        body = compact(with_names(template, account.id, account.region))
        options: dict[str, Any] = {"TemplateBody": body}
        if package:
            bucket = self.site.names.resolved_bucket("scripts", account.id, account.region)
            digest = hashlib.sha256(body.encode()).hexdigest()[:16]
            # A template over 51,200 bytes is only taken from S3.
            template_file = Artifact(f"templates/{digest}.json", body.encode())
            self._upload(bucket, *package.artifacts(), template_file)
            options = {"TemplateURL": self._url(bucket, template_file.key)}
        parameters = package.parameters() if package else {}
        if package and self.site.contract.needs_key:
            parameters["KeyringSecretArn"] = ensure_keyring(self._session, self.site)
        known = template.get("Parameters", {})
        state = self.state()
        name = f"lakelet-{time.time_ns()}"
        self._cloudformation.create_change_set(
            StackName=self.stack_name,
            ChangeSetName=name,
            ChangeSetType="UPDATE" if _exists(state.status) else "CREATE",
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in parameters.items()
                if key in known
            ],
            Tags=[{"Key": k, "Value": v} for k, v in sorted(self.site.tags.items())],
            # Buckets kept by an earlier `destroy` are taken in again, with all that they hold.
            ImportExistingResources=True,
            **options,
        )
        return self._settled_change_set(name)

    def _named(self, change_set: str) -> dict[str, str]:
        """With the stack's name: rights are given on stacks, not on change sets."""
        return {"StackName": self.stack_name, "ChangeSetName": change_set}

    def _settled_change_set(self, change_set: str) -> tuple[str, list[Change]]:
        waited = 0.0
        while waited <= CHANGE_SET_WAIT_SECONDS:
            described = self._cloudformation.describe_change_set(**self._named(change_set))
            status, reason = described["Status"], described.get("StatusReason", "")
            if status == "FAILED":
                self._cloudformation.delete_change_set(**self._named(change_set))
                if NOTHING_TO_DO.search(reason):
                    return "", []
                raise failure(self.stack_name, "a change set", reason, [])
            if status.endswith("_COMPLETE"):
                return change_set, changes_of_set(self._all_changes(change_set, described))
            self._pause(self._poll_seconds)
            waited += self._poll_seconds
        raise StackFailed(
            f"CloudFormation made no change set within {CHANGE_SET_WAIT_SECONDS:g} s.",
            hint="Deploy again.",
        )

    def _all_changes(self, change_set: str, page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        while True:
            yield from page["Changes"]
            token = page.get("NextToken")
            if not token:
                return
            page = self._cloudformation.describe_change_set(
                **self._named(change_set), NextToken=token
            )

    # --- applying --------------------------------------------------------------------

    def apply(self, plan: Plan) -> dict[str, str]:
        """Carry a plan out; returns the stack's outputs. May be repeated at any point.

        Raises:
            StackFailed: which resource, why, and what to do.
        """
        if plan.first:
            self._found(plan.account)
        for attempt in range(1, ATTEMPTS + 1):
            change_set = plan.change_set if attempt == 1 else ""
            if not change_set:
                package = build_package(self.site.pipeline, self.site.contract)
                change_set, _ = self._propose(self.template, plan.account, package)
            if not change_set:
                break
            try:
                self._execute(change_set, len(self.template["Resources"]))
                break
            except StackFailed as error:
                passing = self._watch.faults and all(fault.passing for fault in self._watch.faults)
                if attempt == ATTEMPTS or not passing:
                    raise
                self._tell(Progress(f"{error.message}; trying again"))
                self._pause(WAIT_BETWEEN_ATTEMPTS_SECONDS)
                self._usable_state()
        return self.outputs()

    def _found(self, account: Account) -> None:
        """The scripts bucket alone, so that the code has somewhere to lie."""
        change_set, _ = self._propose(subset(self.template, FOUNDATION), account, None)
        if change_set:
            self._execute(change_set, len(FOUNDATION))

    def _upload(self, bucket: str, *artifacts: Artifact) -> None:
        s3 = self._session.client("s3")
        for artifact in artifacts:
            # Keys follow the content: what is there is right already.
            if not _is_there(s3, bucket, artifact.key):
                self._tell(Progress(f"uploading {artifact.key} ({len(artifact.body):,} bytes)"))
                s3.put_object(Bucket=bucket, Key=artifact.key, Body=artifact.body)

    def _url(self, bucket: str, key: str) -> str:
        region = self._session.region_name
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return f"https://s3.{region}.{suffix}/{bucket}/{key}"

    def _execute(self, change_set: str, expected: int) -> None:
        began = self._watch.last_event_id()
        self._cloudformation.execute_change_set(**self._named(change_set))
        self._watch.wait("UPDATE", since=began, expected=expected)

    # --- destroying ------------------------------------------------------------------

    def destroy(self) -> list[str]:
        """Remove the stack; returns the buckets that stay, with what they hold.

        Raises:
            NotDeployed, StackBusy, StackFailed.
        """
        state = self.state()
        if not state.status:
            raise NotDeployed(f"There is no stack {self.stack_name} here.")
        if is_busy(state.status):
            raise StackBusy(f"Stack {self.stack_name} is {state.status}.", hint="Wait for it.")
        since = self._watch.last_event_id()
        # By its id: a deleted stack is no longer found by its name.
        self._cloudformation.delete_stack(StackName=self.stack_name)
        self._watch.wait("DELETE", since=since, expected=len(state.resources))
        return self.kept_buckets()

    def kept_buckets(self) -> list[str]:
        """Buckets of this pipeline that are there, with or without a stack."""
        return list(self._kept(who_am_i(self._session)).values())

    def _kept(self, account: Account) -> dict[str, str]:
        """Zone → bucket, of those that are there."""
        s3 = self._session.client("s3")
        names = {
            zone: self.site.names.resolved_bucket(zone, account.id, account.region)
            for zone in ZONES
        }
        return {
            zone: name for zone, name in names.items() if _bucket_is_there(s3, name, account.id)
        }

    def delete_data(self) -> Iterator[Progress]:
        """Empty and delete every bucket of the pipeline. There is no way back."""
        s3 = self._session.client("s3")
        for bucket in self.kept_buckets():
            count = 0
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions]
                if objects:
                    s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
                    count += len(objects)
                    yield Progress(f"{bucket}: {count:,} objects deleted")
            s3.delete_bucket(Bucket=bucket)
            yield Progress(f"{bucket}: deleted")
        if self.site.contract.needs_key:
            schedule_deletion(self._session, self.site)


def _exists(status: str) -> bool:
    return status not in ("", "REVIEW_IN_PROGRESS", "DELETE_COMPLETE")


def _is_there(s3: Any, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return False
        raise
    return True


def _bucket_is_there(s3: Any, bucket: str, account_id: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account_id)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket", "NotFound"):
            return False
        raise
    return True


__all__ = ["Deployment", "Effect", "NotDeployed", "Plan", "Progress", "StackState", "silent"]
