"""Quarantine, replay and dead letters of a deployed pipeline: the same reports as at home.

What is looked at is read from here, with the user's own rights. What is made anew is made by
the deployed function under the deployed contract, so no raw event leaves AWS for it.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from lakelet.aws.handler import EventNotUnderstood, named_objects
from lakelet.aws.keyring import secret_name
from lakelet.aws.runner import read_keyring
from lakelet.aws.site import Site
from lakelet.aws.stack import remedy_of
from lakelet.lake.ledger import Counts, Receipt
from lakelet.lake.quarantine import compile_condition, read_rejects, summarise
from lakelet.lake.rebuild import manifest_of, separate, swap_id
from lakelet.lake.replay import choose
from lakelet.lake.replay import replay as rehearse
from lakelet.model.errors import LakeletError, ObjectNotFound, Outcome
from lakelet.model.layout import receipt_key
from lakelet.model.manifest import Manifest
from lakelet.model.pipeline import Pipeline
from lakelet.store.s3 import S3ObjectStore

INVOKE_KEYS_MAX = 10  # objects a synchronous call: well within the function's time-out
LETTERS_A_CALL = 10  # SQS gives no more at once

Tell = Callable[[dict[str, Any]], None]


class RemoteFailed(LakeletError):
    """Something of the pipeline's on AWS failed at what it was asked."""

    code = "aws.remote_failed"
    outcome = Outcome.UNKNOWN


class Tending:
    """What tends the stored data of one deployed pipeline."""

    def __init__(
        self, session: Any, site: Site, outputs: Mapping[str, str], pipeline: Pipeline
    ) -> None:
        self._session, self._site, self._outputs = session, site, outputs
        self._pipeline = pipeline

    @property
    def store(self) -> S3ObjectStore:
        return S3ObjectStore(self._session.client("s3"))

    def quarantine(self, _tell: Tell, *, where: str = "") -> dict[str, Any]:
        """What is in quarantine, by reason, with a sample of each."""
        condition = compile_condition(where) if where else None
        reasons = summarise(read_rejects(self.store, self._pipeline, condition))
        return {
            "reasons": [reason.report() for reason in reasons],
            "count": sum(reason.count for reason in reasons),
        }

    def replay(self, tell: Tell, *, where: str = "", dry_run: bool = False) -> dict[str, Any]:
        """Whole objects with a reject that `where` picks, through the contract of now.

        Returns:
            A receipt, as `lake.ledger.Receipt.report` has it. A rehearsal (`dry_run`) is
            done here, under the declaration here; the real thing by the function.
        Raises:
            ConditionRefused, RemoteFailed.
        """
        now, store = datetime.now(UTC), self.store
        if dry_run:
            contract = self._site.contract
            secret = secret_name(self._site) if contract.needs_key else ""
            receipt = rehearse(
                store,
                self._pipeline,
                contract,
                where=where,
                now=now,
                keyring=read_keyring(self._session, secret),
                dry_run=True,
                on_progress=lambda done, total, key: tell(
                    {"done": done, "total": total, "key": key}
                ),
            )
            if receipt.before == receipt.after:
                # Parquet written here and by awswrangler differs in bytes, not in events.
                receipt = dataclasses.replace(receipt, changed=0)
        else:
            receipt = self._replay(tell, where, now)
        report = receipt.report()
        report.pop("raw_keys")
        return report

    def _replay(self, tell: Tell, where: str, now: datetime) -> Receipt:
        store, chosen_by = self.store, where or "true"
        keys = sorted(choose(store, self._pipeline, where))
        present = [key for key in keys if self._is_there(key)]
        before = self._manifests(present)
        self.transform_again(present, tell)
        after = self._manifests(present)
        old = {manifest.raw.key: manifest for manifest in before}
        contract = self._site.contract
        receipt = Receipt(
            swap_id("replay", chosen_by, now),
            "replay",
            chosen_by,
            after[0].contract_version if after else contract.version,
            after[0].contract_fingerprint if after else contract.fingerprint,
            now.isoformat(),
            len(present),
            sum(old.get(manifest.raw.key) != manifest for manifest in after),
            tuple(key for key in keys if key not in set(present)),
            Counts.of(before),
            Counts.of(after),
            tuple(present),
        )
        if receipt.changed:
            key = receipt_key(receipt.id)
            bucket = self._pipeline.transformed_bucket
            store.put(bucket, key, receipt.encode(), content_type="application/json")
        return receipt

    def _is_there(self, key: str) -> bool:
        try:
            self.store.head(self._pipeline.raw_bucket, key)
        except ObjectNotFound:
            return False
        return True

    def _manifests(self, keys: list[str]) -> list[Manifest]:
        found = [manifest_of(self.store, self._pipeline, key) for key in keys]
        return [manifest for manifest in found if manifest is not None]

    def transform_again(self, keys: list[str], tell: Tell) -> None:
        """Have the function make raw objects anew, done or not. Raises RemoteFailed."""
        for start in range(0, len(keys), INVOKE_KEYS_MAX):
            batch = keys[start : start + INVOKE_KEYS_MAX]
            tell({"done": start, "total": len(keys), "key": batch[0]})
            self.invoke({**s3_event(self._pipeline.raw_bucket, batch), "again": True})
        # Their rows may also lie in files that the job's compaction merged.
        separate(self.store, self._pipeline, frozenset(keys), datetime.now(UTC))

    def invoke(self, event: Mapping[str, Any]) -> None:
        answer = self._session.client("lambda").invoke(
            FunctionName=self._outputs["FunctionName"], Payload=json.dumps(event).encode()
        )
        body = answer["Payload"].read()
        if answer.get("FunctionError"):
            told = json.loads(body or b"{}").get("errorMessage", "it gave no reason")
            raise RemoteFailed(f"The function failed: {told}", hint=remedy_of(told)[0])

    # --- dead letters ------------------------------------------------------------------

    def dead_letters(self, _tell: Tell) -> list[dict[str, Any]]:
        """Raw objects given up, with why: as many as one look at the queue shows."""
        answer = self._session.client("sqs").receive_message(
            QueueUrl=self._outputs["FailuresUrl"],
            MaxNumberOfMessages=LETTERS_A_CALL,
            VisibilityTimeout=0,  # only looked at
        )
        return [
            {
                "key": key,
                "attempts": failure.get("requestContext", {}).get("approximateInvokeCount", 0),
                "error": failure.get("responsePayload", {}).get("errorMessage", ""),
            }
            for failure in (json.loads(one["Body"]) for one in answer.get("Messages", []))
            for key in _keys_of(failure.get("requestPayload", {}))
        ]

    def redrive(self, tell: Tell, *, key: str | None = None) -> int:
        """Send what was given up to the function again; what succeeds leaves its queue.

        A failure lies in both queues, bare in one and with its reason in the other. The
        function finds the second time done, so emptying both is safe.

        Args:
            key: one raw object; all by default.
        Returns:
            How many letters succeeded.
        """
        queues = (self._outputs["DeadLettersUrl"], self._outputs["FailuresUrl"])
        return sum(self._redrive(queue, key, tell) for queue in queues)

    def _redrive(self, queue: str, key: str | None, tell: Tell) -> int:
        sqs = self._session.client("sqs")
        sent = 0
        while letters := _received(sqs, queue):
            for letter in letters:
                event = json.loads(letter["Body"])
                keys = _keys_of(event.get("requestPayload", event))
                if key is not None and key not in keys:
                    continue
                try:
                    self.invoke(event)
                except RemoteFailed as error:
                    tell({"done": sent, "total": None, "key": error.message})
                    continue
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"])
                sent += 1
                tell({"done": sent, "total": None, "key": ", ".join(keys)})
        return sent


def _received(sqs: Any, queue: str) -> list[dict[str, Any]]:
    answer = sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=LETTERS_A_CALL,
        # What fails again stays out of sight for a while: else this would not end.
        VisibilityTimeout=900,
    )
    return list(answer.get("Messages", []))


def _keys_of(event: Mapping[str, Any]) -> list[str]:
    try:
        return [key for _, key in named_objects(event)]
    except EventNotUnderstood:
        return []


def s3_event(bucket: str, keys: list[str]) -> dict[str, Any]:
    """What S3 would tell the function of these raw objects."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": bucket},
                    "object": {"key": quote_plus(key, safe="/")},
                },
            }
            for key in keys
        ]
    }
