"""Watching a stack until it rests: what happens to each resource, and what went wrong."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lakelet.aws.stack import (
    Fault,
    failure,
    faults_of,
    faults_of_validation,
    is_busy,
    succeeded,
)

POLL_SECONDS = 2.0
STACK_WAIT_SECONDS = 3600.0

Tell = Callable[["Progress"], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """One thing that happened: a step of ours, or a resource of the stack's."""

    text: str
    done: int = 0
    total: int = 0


def silent(_: Progress) -> None:
    """Tells nobody."""


class StackWatch:
    """One stack, looked at every `poll_seconds`."""

    def __init__(
        self,
        cloudformation: Any,
        stack_name: str,
        *,
        tell: Tell = silent,
        pause: Callable[[float], None] = time.sleep,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._cloudformation, self._stack_name = cloudformation, stack_name
        self._tell, self._pause, self._poll_seconds = tell, pause, poll_seconds
        self.faults: tuple[Fault, ...] = ()  # of the last wait that failed

    def tell_to(self, tell: Tell) -> None:
        self._tell = tell

    def wait(self, what: str, *, since: str = "", expected: int = 0) -> None:
        """Until the stack rests, telling each resource as it is done."""
        told: set[str] = set()
        done: set[str] = set()
        waited = 0.0
        while waited <= STACK_WAIT_SECONDS:
            state = self.status()
            for event in self._events_after(since):
                if event["EventId"] in told:
                    continue
                told.add(event["EventId"])
                if event["ResourceStatus"].endswith("_COMPLETE"):
                    done.add(event["LogicalResourceId"])
                self._tell(Progress(_event_line(event), len(done), expected))
            if not is_busy(state) and state != "REVIEW_IN_PROGRESS":
                break
            self._pause(self._poll_seconds)
            waited += self._poll_seconds
        if what == "DELETE" and state in ("", "DELETE_COMPLETE"):
            return
        if not succeeded(state):
            events = list(self._events_after(since))
            faults = faults_of(events, self._stack_name) or self._validation_faults()
            self.faults = tuple(faults)
            raise failure(self._stack_name, state, _stack_reason(events), self.faults)

    def _validation_faults(self) -> list[Fault]:
        """Told by a call of its own, where CloudFormation has it."""
        try:
            answer = self._cloudformation.describe_events(StackName=self._stack_name)
        except (ClientError, AttributeError):
            return []
        return faults_of_validation(answer.get("OperationEvents", []))

    def status(self) -> str:
        try:
            (stack,) = self._cloudformation.describe_stacks(StackName=self._stack_name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return ""
            raise
        return str(stack["StackStatus"])

    def last_event_id(self) -> str:
        return next((event["EventId"] for event in self._events()), "")

    def _events_after(self, event_id: str) -> list[Mapping[str, Any]]:
        """Oldest first."""
        found = []
        for event in self._events():
            if event["EventId"] == event_id:
                break
            found.append(event)
        return found[::-1]

    def _events(self) -> Iterator[Mapping[str, Any]]:
        """Newest first."""
        paginator = self._cloudformation.get_paginator("describe_stack_events")
        try:
            for page in paginator.paginate(StackName=self._stack_name):
                yield from page["StackEvents"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise


def _event_line(event: Mapping[str, Any]) -> str:
    status = event["ResourceStatus"].lower().replace("_", " ")
    service = " ".join(event.get("ResourceType", "").split("::")[1:])
    return f"{service} {event['LogicalResourceId']}: {status}"


def _stack_reason(events: list[Mapping[str, Any]]) -> str:
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    return next((reason for reason in reversed(reasons) if reason), "no reason given")
