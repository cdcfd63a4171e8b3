"""x-amz-expiration: when an object will go, as the rules in force have it."""

from collections.abc import Sequence
from datetime import datetime

from lakelet.lake.lifecycle import Rule, due_at
from lakelet.model.ports import ObjectInfo
from lakelet.wire.s3.objects import Expiration


def expiration_by(rules: Sequence[Rule]) -> Expiration:
    """The earliest end that any of the rules sets to an object."""

    def expiration(info: ObjectInfo) -> tuple[datetime, str] | None:
        ends = [
            (due_at(info.modified_at, rule.days), rule.id)
            for rule in rules
            if rule.bucket == info.bucket and info.key.startswith(rule.prefix)
        ]
        return min(ends, default=None)

    return expiration
