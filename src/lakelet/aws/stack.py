"""What CloudFormation says, in words for people. Pure: answers in, values out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lakelet.model.errors import LakeletError, Outcome


class StackFailed(LakeletError):
    """CloudFormation gave up and went back to what was there before."""

    code = "aws.stack_failed"
    outcome = Outcome.RETRY


class StackBusy(LakeletError):
    code = "aws.stack_busy"
    outcome = Outcome.RETRY


class Effect(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    REPLACED = "replaced"
    DELETED = "deleted"
    KEPT = "kept"  # found again: made by an earlier deployment, taken in as it is


@dataclass(frozen=True, slots=True)
class Change:
    effect: Effect
    logical_id: str
    type: str
    why: str = ""  # properties or parameters that cause it

    @property
    def service(self) -> str:
        """`S3 Bucket`, of `AWS::S3::Bucket`."""
        return " ".join(self.type.split("::")[1:])

    @property
    def loses_data(self) -> bool:
        """Whether what is kept would go: such a change wants a second look."""
        return self.effect in (Effect.REPLACED, Effect.DELETED) and self.type in STATEFUL_TYPES

    def sentence(self) -> str:
        cause = f" ({self.why})" if self.why else ""
        verb = self.effect.upper() if self.effect is Effect.REPLACED else self.effect
        return f"{verb} {self.service} {self.logical_id}{cause}"


STATEFUL_TYPES = frozenset(
    {"AWS::S3::Bucket", "AWS::SQS::Queue"}
    | {"AWS::KinesisFirehose::DeliveryStream"}  # records on their way are lost with it
)


def changes_of_new(
    template: Mapping[str, Any], kept: AbstractSet[str] = frozenset()
) -> list[Change]:
    """What a first deployment makes. `kept`: logical ids that an earlier one left behind."""
    return [
        Change(Effect.KEPT if logical_id in kept else Effect.CREATED, logical_id, made["Type"])
        for logical_id, made in template["Resources"].items()
    ]


def changes_of_set(described: Iterable[Mapping[str, Any]]) -> list[Change]:
    """A change set's `Changes`, all pages joined; what loses data first.

    CloudFormation lists whatever refers to something changed as perhaps replaced, because it
    evaluates references late. A name or an ARN is another only if its resource is replaced:
    what depends on nothing that is, does not change, and is left out.
    """
    resources = [one["ResourceChange"] for one in described if "ResourceChange" in one]
    replaced = _replaced(resources)
    found = [
        _change(resource, replaced)
        for resource in resources
        if resource["Action"] != "Modify" or _own_details(resource, replaced)
    ]
    order = list(Effect)
    return sorted(found, key=lambda c: (not c.loses_data, order.index(c.effect), c.logical_id))


def _replaced(resources: Sequence[Mapping[str, Any]]) -> set[str]:
    """Logical ids that get another physical id: by themselves, or by what they refer to."""
    replaced: set[str] = set()
    while True:
        more = {
            one["LogicalResourceId"]
            for one in resources
            if one["Action"] == "Modify"
            and one.get("Replacement") in ("True", "Conditional")
            and ((one["Replacement"] == "True" and not one.get("Details"))
                 or _own_details(one, replaced))
        }  # fmt: skip
        if more <= replaced:
            return replaced
        replaced |= more


def _own_details(
    resource: Mapping[str, Any], replaced: AbstractSet[str]
) -> list[Mapping[str, Any]]:
    """The details that hold: changes of its own, and references to what is replaced."""
    return [
        detail
        for detail in resource.get("Details", [])
        if detail.get("Evaluation") != "Dynamic"
        or str(detail.get("CausingEntity", "")).split(".", 1)[0] in replaced
    ]


def _change(resource: Mapping[str, Any], replaced: AbstractSet[str]) -> Change:
    logical_id, action = resource["LogicalResourceId"], resource["Action"]
    effect = {
        "Add": Effect.CREATED,
        "Remove": Effect.DELETED,
        "Import": Effect.KEPT,
        # `Conditional` may turn out a replacement: say the worse.
        "Modify": Effect.REPLACED if logical_id in replaced else Effect.CHANGED,
    }.get(action, Effect.CHANGED)
    why = _causes(_own_details(resource, replaced))
    return Change(effect, logical_id, resource["ResourceType"], why)


def _causes(details: Sequence[Mapping[str, Any]]) -> str:
    names = []
    for detail in details:
        target = detail.get("Target", {})
        name = target.get("Name") or target.get("Attribute", "")
        cause = detail.get("CausingEntity")
        text = f"{name} by {cause}" if cause else name
        if text and text not in names:
            names.append(text)
    return ", ".join(names)


NOTHING_TO_DO = re.compile(r"didn't contain changes|no updates are to be performed", re.IGNORECASE)

_IDLE = re.compile(r"_COMPLETE$|^REVIEW_IN_PROGRESS$|^IMPORT_ROLLBACK_COMPLETE$")


def is_busy(status: str) -> bool:
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def succeeded(status: str) -> bool:
    return status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "DELETE_COMPLETE")


@dataclass(frozen=True, slots=True)
class Fault:
    """A resource that CloudFormation could not make, and what to do about it."""

    logical_id: str
    type: str
    reason: str
    remedy: str
    passing: bool = False  # the same deployment may work a minute later


# The text of a failure → the next step. The first that fits is told.
_REMEDIES: tuple[tuple[str, str, bool], ...] = (
    (
        (
            r"unable to assume role|cannot be assumed|not authorized to perform: sts:AssumeRole"
            r"|role defined for the function cannot be assumed|trust relationship"
        ),
        "A new role takes some seconds to be known everywhere: the next attempt works.",
        True,
    ),
    (
        r"AWS::S3::Bucket'? .*already exists|BucketAlreadyOwnedByYou|ImportExistingResources",
        (
            "A bucket kept by an earlier `destroy` was not taken in: this CloudFormation does not "
            "import. Set [aws] stage for buckets of other names and bring the history with "
            "`aws s3 sync`; or copy away what it holds, delete it, deploy, and copy it back."
        ),
        False,
    ),
    (
        r"already exists|AlreadyExists",
        (
            "Something of this name is there, made by somebody else: rename the pipeline, set "
            "[aws] stage, or delete it."
        ),
        False,
    ),
    (
        r"BucketAlreadyExists",
        "Bucket names are the world's and this one is taken: rename the pipeline.",
        False,
    ),
    (
        r"UnreservedConcurrentExecution|concurren",
        (
            "The account's Lambda concurrency is too small: set [aws.function] "
            "reserved_concurrency = 0, or ask for a higher quota."
        ),
        False,
    ),
    (
        r"layer",
        (
            "The layer cannot be used in this region: take an ARN from "
            "https://aws-sdk-pandas.readthedocs.io/en/stable/layers.html for "
            "[aws.function] layer_arn."
        ),
        False,
    ),
    (
        r"not authorized|AccessDenied|access denied|UnauthorizedOperation",
        (
            "Whoever deploys lacks this permission: `lakelet template --deployer-policy` prints "
            "all that is needed."
        ),
        False,
    ),
    (
        r"LimitExceeded|limit|quota",
        "A quota of the account is used up: Service Quotas in the console shows and raises it.",
        False,
    ),
    (
        r"Throttl|Rate exceeded|ServiceUnavailable|InternalFailure|timed? ?out",
        "AWS was busy: deploy again.",
        True,
    ),
)


def remedy_of(reason: str) -> tuple[str, bool]:
    """The next step, and whether the failure passes by itself."""
    for pattern, remedy, passing in _REMEDIES:
        if re.search(pattern, reason, re.IGNORECASE):
            return remedy, passing
    return "Mend what the reason says, then deploy again: it goes on where it stands.", False


def faults_of(events: Iterable[Mapping[str, Any]], stack_name: str) -> list[Fault]:
    """The resources at fault, first failure first; not those cancelled because of them."""
    found: dict[str, Fault] = {}
    for event in sorted(events, key=lambda one: one["Timestamp"]):
        reason = event.get("ResourceStatusReason", "")
        failed = event.get("ResourceStatus", "").endswith("_FAILED")
        itself = event.get("LogicalResourceId") == stack_name
        if not failed or itself or "cancelled" in reason.lower():
            continue
        remedy, passing = remedy_of(reason)
        logical_id = event["LogicalResourceId"]
        fault = Fault(logical_id, event.get("ResourceType", ""), reason, remedy, passing)
        found.setdefault(logical_id, fault)
    return list(found.values())


def faults_of_validation(events: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """The same of what CloudFormation refused before it began (DescribeEvents)."""
    found: dict[str, Fault] = {}
    for event in events:
        if event.get("EventType") != "VALIDATION_ERROR":
            continue
        reason = event.get("ValidationStatusReason", "")
        remedy, passing = remedy_of(reason)
        logical_id = event.get("LogicalResourceId", "")
        fault = Fault(logical_id, event.get("ResourceType", ""), reason, remedy, passing)
        found.setdefault(logical_id, fault)
    return list(found.values())


def failure(stack_name: str, status: str, reason: str, faults: Sequence[Fault]) -> StackFailed:
    if not faults:
        remedy, _ = remedy_of(reason)
        return StackFailed(f"Stack {stack_name} ended as {status}: {reason}", hint=remedy)
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return StackFailed(
        f"{first.type} {first.logical_id} failed{more}: {first.reason}", hint=first.remedy
    )
