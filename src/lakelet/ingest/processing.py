"""Processors as configured: `ProcessingConfiguration` in, typed steps out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lakelet.ingest.errors import InvalidArgument
from lakelet.ingest.prefix import Prefix


@dataclass(frozen=True, slots=True)
class AppendDelimiter:
    delimiter: bytes = b"\n"


@dataclass(frozen=True, slots=True)
class DeAggregate:
    """One record becomes its sub-records: JSON values, or text between delimiters."""

    delimiter: bytes | None = None  # None: JSON


@dataclass(frozen=True, slots=True)
class Decompress:
    """Gzipped records are inflated. CloudWatch Logs sends such."""

    extract_messages: bool = False  # CloudWatchLogProcessing: only the log lines


@dataclass(frozen=True, slots=True)
class ExtractMetadata:
    """Partition keys by a jq query over each record."""

    query: str


@dataclass(frozen=True, slots=True)
class InvokeFunction:
    """A Lambda function; here a Python function registered under the ARN's last part."""

    arn: str
    retries: int = 3
    buffer_size_bytes: int = 1024 * 1024

    @property
    def name(self) -> str:
        """`arn:aws:lambda:<region>:<account>:function:<name>[:<version>]`"""
        parts = self.arn.split(":")
        return parts[6] if len(parts) > 6 else self.arn


Step = AppendDelimiter | DeAggregate | Decompress | ExtractMetadata | InvokeFunction


@dataclass(frozen=True, slots=True)
class Processing:
    """In the order Firehose applies them, whatever the order they were given in."""

    steps: tuple[Step, ...] = ()

    @property
    def only_delimiter(self) -> bytes | None:
        """What joins records where nothing else is to be done to them."""
        if not self.steps:
            return b""
        first = self.steps[0]
        if len(self.steps) == 1 and isinstance(first, AppendDelimiter):
            return first.delimiter
        return None

    @property
    def calls_function(self) -> bool:
        """The user's code, which may take its time."""
        return any(isinstance(step, InvokeFunction) for step in self.steps)

    @property
    def appends_newline(self) -> bool:
        return AppendDelimiter(b"\n") in self.steps

    def check_partition_keys(self, prefix: Prefix, *, is_partitioned: bool) -> None:
        """Raises InvalidArgument where a key is asked for that nothing makes."""
        if not is_partitioned:
            return
        kinds = {type(step) for step in self.steps}
        for namespace, key in prefix.partition_keys:
            maker = ExtractMetadata if namespace == "partitionKeyFromQuery" else InvokeFunction
            if maker not in kinds:
                processor = "MetadataExtraction" if maker is ExtractMetadata else "Lambda"
                raise InvalidArgument(
                    f"Prefix uses !{{{namespace}:{key}}}, and there is no {processor} processor.",
                    hint=f"Add a processor of Type {processor}.",
                )


# Firehose inflates, then splits, then transforms, then extracts, then delimits.
_ORDER = (Decompress, DeAggregate, InvokeFunction, ExtractMetadata, AppendDelimiter)


def parse_processing(config: Mapping[str, Any]) -> Processing:
    """Raises InvalidArgument, naming the processor and the parameter."""
    if not config.get("Enabled", False):
        return Processing()
    steps: dict[type, Step] = {}
    for processor in config.get("Processors", []):
        parameters = {
            each["ParameterName"]: each["ParameterValue"]
            for each in processor.get("Parameters", [])
        }
        step = _parse_step(processor["Type"], parameters)
        known = steps.get(type(step))
        if isinstance(step, Decompress) and isinstance(known, Decompress):
            step = Decompress(step.extract_messages or known.extract_messages)
        elif known:
            raise InvalidArgument(
                f"processor {processor['Type']} is given twice.", hint="Once is enough."
            )
        steps[type(step)] = step
    return Processing(tuple(steps[kind] for kind in _ORDER if kind in steps))


def _parse_step(kind: str, parameters: Mapping[str, str]) -> Step:
    match kind:
        case "AppendDelimiterToRecord":
            return AppendDelimiter(_unescape(parameters.get("Delimiter", "\\n")))
        case "RecordDeAggregation":
            return _parse_de_aggregation(parameters)
        case "Decompression":
            if parameters.get("CompressionFormat", "GZIP") != "GZIP":
                raise InvalidArgument("Decompression: CompressionFormat must be GZIP.")
            return Decompress()
        case "CloudWatchLogProcessing":
            return Decompress(parameters.get("DataMessageExtraction", "").lower() == "true")
        case "MetadataExtraction":
            return _parse_extraction(parameters)
        case "Lambda":
            return _parse_lambda(parameters)
    raise InvalidArgument(
        f"processor {kind!r} is not known.",
        hint="One of: AppendDelimiterToRecord, RecordDeAggregation, Decompression, "
        "CloudWatchLogProcessing, MetadataExtraction, Lambda.",
    )


def _parse_de_aggregation(parameters: Mapping[str, str]) -> DeAggregate:
    kind = parameters.get("SubRecordType", "")
    if kind == "JSON":
        return DeAggregate()
    if kind == "DELIMITED" and parameters.get("Delimiter"):
        return DeAggregate(_unescape(parameters["Delimiter"]))
    raise InvalidArgument(
        f"RecordDeAggregation: SubRecordType {kind!r} with Delimiter "
        f"{parameters.get('Delimiter')!r} is not valid.",
        hint="SubRecordType is JSON, or DELIMITED with a Delimiter.",
    )


def _parse_extraction(parameters: Mapping[str, str]) -> ExtractMetadata:
    query = parameters.get("MetadataExtractionQuery", "")
    engine = parameters.get("JsonParsingEngine", "JQ-1.6")
    if not engine.startswith("JQ-"):
        raise InvalidArgument(f"MetadataExtraction: JsonParsingEngine {engine!r} is not JQ-1.6.")
    if not query:
        raise InvalidArgument("MetadataExtraction: MetadataExtractionQuery is missing.")
    try:
        compile_query(query)
    except ValueError as error:
        raise InvalidArgument(
            f"MetadataExtraction: the query {query!r} does not compile: {error}."
        ) from error
    return ExtractMetadata(query)


@lru_cache(maxsize=64)
def compile_query(query: str) -> Any:
    """A jq program. Raises ValueError where it is none."""
    import jq  # a C library: loaded where a stream asks for it

    return jq.compile(query)


def _parse_lambda(parameters: Mapping[str, str]) -> InvokeFunction:
    arn = parameters.get("LambdaArn", "")
    if not re.match(r"arn:[^:]*:lambda:[^:]*:\d{12}:function:[\w-]+", arn):
        raise InvalidArgument(f"Lambda: LambdaArn {arn!r} is not a function's ARN.")
    try:
        retries = int(parameters.get("NumberOfRetries", "3"))
        size_mb = float(parameters.get("BufferSizeInMBs", "1"))
    except ValueError as error:
        raise InvalidArgument(f"Lambda: {error}.") from error
    if not 0 <= retries <= 300 or not 0.2 <= size_mb <= 3:
        raise InvalidArgument(
            f"Lambda: NumberOfRetries {retries} or BufferSizeInMBs {size_mb:g} is out of range.",
            hint="Retries 0 to 300, buffer 0.2 to 3 MB.",
        )
    return InvokeFunction(arn, retries, int(size_mb * 1024 * 1024))


def _unescape(text: str) -> bytes:
    r"""A delimiter as Firehose's parameters spell it: `\n` for a line feed."""
    named = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
    return re.sub(r"\\([nrt\\])", lambda found: named[found[1]], text).encode()
