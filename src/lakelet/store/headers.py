"""What a put says of its object besides the bytes, and what must hold for it to happen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_CONTENT_TYPE = "binary/octet-stream"  # S3's


@dataclass(frozen=True, slots=True)
class Headers:
    """What a put says of an object besides its bytes."""

    content_type: str = DEFAULT_CONTENT_TYPE
    content_encoding: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    further: Mapping[str, str] = field(default_factory=dict)  # other headers, by lower-case name


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of the key when an object is published."""

    only_if_absent: bool = False
    if_match: str | None = None  # an ETag


ANYWAY = Condition()
