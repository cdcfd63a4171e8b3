"""What a look before a deployment tells."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One look. `ok` is None where we may not look: that is told, and does not stop us."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    region: str
    caller_arn: str
