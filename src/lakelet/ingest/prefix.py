"""Prefix expressions: `year=!{timestamp:yyyy}/`, checked when given, evaluated at delivery.

Source: https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from lakelet.ingest.errors import InvalidArgument
from lakelet.ingest.java_time import PatternError, check_pattern, format_instant

# Appended, with no slash of its own, where a prefix has no expression.
_DEFAULT_FOLDERS = "yyyy/MM/dd/HH/"

_EXPRESSION = re.compile(r"!\{([^{}]*)\}")
_PARTITION_NAMESPACES = ("partitionKeyFromQuery", "partitionKeyFromLambda")


@dataclass(frozen=True, slots=True)
class Context:
    """What the expressions of one object's key refer to."""

    arrived_at: datetime  # of the oldest record in the object
    time_zone: tzinfo = UTC
    random_strings: tuple[str, ...] = ()  # one for each use, in order
    error_type: str = ""  # "" for data
    partition_keys: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A literal (namespace ""), or an expression."""

    namespace: str
    value: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """A checked expression."""

    text: str
    parts: tuple[Part, ...]

    @property
    def has_expression(self) -> bool:
        return any(part.namespace for part in self.parts)

    @property
    def random_string_count(self) -> int:
        return sum(part == Part("firehose", "random-string") for part in self.parts)

    @property
    def partition_keys(self) -> tuple[tuple[str, str], ...]:
        """(namespace, key) of each partition key it asks for, once each."""
        found = [(p.namespace, p.value) for p in self.parts if p.namespace in _PARTITION_NAMESPACES]
        return tuple(dict.fromkeys(found))

    def evaluate(self, context: Context) -> str:
        at = context.arrived_at.astimezone(context.time_zone)
        randoms = iter(context.random_strings)
        written = []
        for part in self.parts:
            if not part.namespace:
                written.append(part.value)
            elif part.namespace == "timestamp":
                written.append(format_instant(at, part.value))
            elif part.value == "random-string":
                written.append(next(randoms))
            elif part.namespace == "firehose":
                written.append(context.error_type)
            else:
                written.append(context.partition_keys[part.namespace, part.value])
        if not self.has_expression:
            error_folder = f"{context.error_type}/" if context.error_type else ""
            written += [error_folder, format_instant(at, _DEFAULT_FOLDERS)]
        return "".join(written)


def parse_prefix(text: str, *, is_error: bool = False) -> Prefix:
    """Raises InvalidArgument, naming the expression at fault. Patterns of timestamps are not
    looked into: `check_timestamps` does, which has to know the zone."""
    parts, end = [], 0
    for found in _EXPRESSION.finditer(text):
        if found.start() > end:
            parts.append(Part("", text[end : found.start()]))
        parts.append(_parse_expression(found[1], is_error=is_error))
        end = found.end()
    if end < len(text):
        parts.append(Part("", text[end:]))
    for part in parts:
        if not part.namespace and "!{" in part.value:
            raise InvalidArgument(
                f"the prefix {text!r} has an expression that is never closed.",
                hint="Write !{namespace:value}.",
            )
    return Prefix(text, tuple(parts))


def check_prefixes(prefix: Prefix, error_prefix: Prefix | None, *, is_partitioned: bool) -> None:
    """The rules that tie the two together. Raises InvalidArgument."""
    if error_prefix is None or not error_prefix.text:
        if prefix.has_expression:
            raise InvalidArgument(
                "ErrorOutputPrefix is required where Prefix contains an expression.",
                hint="Set ErrorOutputPrefix, such as errors/!{firehose:error-output-type}/",
            )
    elif error_prefix.has_expression and Part("firehose", "error-output-type") not in (
        error_prefix.parts
    ):
        raise InvalidArgument(
            f"ErrorOutputPrefix {error_prefix.text!r} lacks the expression it must have.",
            hint="Add !{firehose:error-output-type}.",
        )
    if prefix.partition_keys and not is_partitioned:
        raise InvalidArgument(
            f"Prefix {prefix.text!r} asks for partition keys, and dynamic partitioning is off.",
            hint="Enable DynamicPartitioningConfiguration when the stream is created.",
        )
    if is_partitioned and not prefix.partition_keys:
        raise InvalidArgument(
            f"dynamic partitioning is on, and Prefix {prefix.text!r} uses no partition key.",
            hint="Use !{partitionKeyFromQuery:name} or !{partitionKeyFromLambda:name}.",
        )


def check_timestamps(prefix: Prefix, time_zone: tzinfo) -> None:
    """Raises InvalidArgument, naming the pattern that Java would refuse."""
    for part in prefix.parts:
        if part.namespace == "timestamp":
            try:
                check_pattern(part.value, time_zone)
            except PatternError as error:
                raise InvalidArgument(f"!{{timestamp:{part.value}}}: {error}.") from error


def _parse_expression(expression: str, *, is_error: bool) -> Part:
    namespace, _, value = expression.partition(":")
    if namespace == "timestamp" and value:
        return Part(namespace, value)
    known = {"random-string", "error-output-type"} if is_error else {"random-string"}
    if namespace == "firehose" and value in known:
        return Part(namespace, value)
    if namespace in _PARTITION_NAMESPACES and value and not is_error:
        return Part(namespace, value)
    where = "ErrorOutputPrefix" if is_error else "Prefix"
    raise InvalidArgument(
        f"!{{{expression}}} can't stand in {where}.",
        hint="Namespaces: timestamp, firehose (random-string; error-output-type in "
        "ErrorOutputPrefix only), partitionKeyFromQuery and partitionKeyFromLambda (Prefix only).",
    )
