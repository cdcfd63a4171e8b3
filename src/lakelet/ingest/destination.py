"""Where and how a stream delivers: AWS's configuration shape in, typed values out.

The shape (`ExtendedS3DestinationConfiguration`, botocore's spelling) is what is
stored and described back; the typed `Destination` is what delivery works with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from lakelet.ingest.compression import COMPRESSIONS, extension
from lakelet.ingest.errors import InvalidArgument
from lakelet.ingest.prefix import Prefix, check_prefixes, check_timestamps, parse_prefix
from lakelet.ingest.processing import Processing, parse_processing
from lakelet.model.pipeline import Pipeline

Shape = Mapping[str, Any]

MEBIBYTE = 1024 * 1024
DESTINATION_ID = "destinationId-000000000001"
# Nobody assumes it here; AWS's shape requires one.
LOCAL_ROLE_ARN = "arn:aws:iam::000000000000:role/lakelet"

_BUFFER_SIZE_MB = 5
_BUFFER_INTERVAL_SECONDS = 300
# Firehose's own floor and default where it converts to a columnar format.
_CONVERSION_BUFFER_SIZE_MB_MIN = 64
_CONVERSION_BUFFER_SIZE_MB = 128

# Members of each configuration that describe back unchanged.
_S3_MEMBERS = (
    "RoleARN",
    "BucketARN",
    "Prefix",
    "ErrorOutputPrefix",
    "BufferingHints",
    "CompressionFormat",
    "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
)
_MERGED_DEEPLY = ("BufferingHints", "CloudWatchLoggingOptions", "DataFormatConversionConfiguration")


@dataclass(frozen=True, slots=True)
class Hints:
    """Deliver at whichever comes first."""

    size_bytes: int  # before compression
    interval_seconds: float


@dataclass(frozen=True, slots=True)
class Conversion:
    """JSON to Parquet, by a catalog table's columns."""

    database: str
    table: str
    compression: str  # pyarrow's name
    columns: Mapping[str, str]  # JSON key by column, where they differ
    case_insensitive: bool
    dots_to_underscores: bool


@dataclass(frozen=True, slots=True)
class Destination:
    bucket: str
    prefix: Prefix
    error_prefix: Prefix | None  # None: the prefix's text, then the error's type
    hints: Hints
    compression: str
    file_extension: str  # "" for the compression's own
    time_zone: tzinfo
    processing: Processing
    is_partitioned: bool
    conversion: Conversion | None
    backup_bucket: str  # "" where source records are not kept as well
    backup: "Destination | None" = None

    @property
    def extension(self) -> str:
        if self.file_extension:
            return self.file_extension
        return ".parquet" if self.conversion else extension(self.compression)


def parse_destination(config: Shape, *, is_stored: bool = False) -> Destination:
    """A configuration, typed.

    Args:
        is_stored: an earlier Lakelet took it, and its stream holds records. Zone and patterns
            aren't asked again: no node may stop at a rule that came after its streams.
    Raises:
        InvalidArgument: what the service would refuse, or we don't offer.
    """
    is_partitioned = bool(config.get("DynamicPartitioningConfiguration", {}).get("Enabled"))
    conversion = _parse_conversion(config)
    prefix = parse_prefix(config.get("Prefix", ""))
    error_text = config.get("ErrorOutputPrefix")
    error_prefix = parse_prefix(error_text, is_error=True) if error_text else None
    check_prefixes(prefix, error_prefix, is_partitioned=is_partitioned)
    time_zone = _parse_time_zone(config.get("CustomTimeZone", ""), is_stored=is_stored)
    if not is_stored:
        for each in (prefix, error_prefix):
            if each:
                check_timestamps(each, time_zone)
    compression = config.get("CompressionFormat", "UNCOMPRESSED")
    if compression not in COMPRESSIONS:
        raise InvalidArgument(
            f"CompressionFormat {compression!r} is not known.",
            hint=f"One of: {', '.join(COMPRESSIONS)}.",
        )
    if conversion and compression != "UNCOMPRESSED":
        raise InvalidArgument(
            "CompressionFormat must be UNCOMPRESSED where the format is converted.",
            hint="Set the serializer's own Compression instead.",
        )
    processing = parse_processing(config.get("ProcessingConfiguration", {}))
    processing.check_partition_keys(prefix, is_partitioned=is_partitioned)
    backup = _parse_backup(config, is_stored=is_stored)
    return Destination(
        bucket=_bucket(config),
        prefix=prefix,
        error_prefix=error_prefix,
        hints=_parse_hints(config, is_converted=conversion is not None),
        compression=compression,
        file_extension=_parse_file_extension(config.get("FileExtension", "")),
        time_zone=time_zone,
        processing=processing,
        is_partitioned=is_partitioned,
        conversion=conversion,
        backup_bucket=backup.bucket if backup else "",
        backup=backup,
    )


def check_buckets(destination: Destination) -> None:
    """That there can be such buckets. Raises InvalidArgument.

    Apart from parsing: what was accepted once must still be read.
    """
    for bucket in filter(None, (destination.bucket, destination.backup_bucket)):
        if not re.fullmatch(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
            raise InvalidArgument(
                f"BucketARN arn:aws:s3:::{bucket}: there can be no bucket of this name.",
                hint="3 to 63 of a-z, 0-9, `-` and `.`, a letter or digit at both ends.",
            )


def describe_destination(config: Shape) -> dict[str, Any]:
    """An ExtendedS3DestinationDescription, and the S3 one, with the service's defaults."""
    described = dict(config)
    hints = _parse_hints(config, is_converted=_parse_conversion(config) is not None)
    described["BufferingHints"] = {
        "SizeInMBs": hints.size_bytes // MEBIBYTE,
        "IntervalInSeconds": int(hints.interval_seconds),
    }
    described.setdefault("Prefix", "")
    described.setdefault("CompressionFormat", "UNCOMPRESSED")
    described.setdefault("EncryptionConfiguration", {"NoEncryptionConfig": "NoEncryption"})
    described.setdefault("CloudWatchLoggingOptions", {"Enabled": False})
    described.setdefault("S3BackupMode", "Disabled")
    if backup := described.pop("S3BackupConfiguration", None):
        described["S3BackupDescription"] = describe_destination(backup)["S3DestinationDescription"]
    return {
        "DestinationId": DESTINATION_ID,
        "S3DestinationDescription": {m: described[m] for m in _S3_MEMBERS if m in described},
        "ExtendedS3DestinationDescription": described,
    }


def merge_destination(config: Shape, update: Shape) -> dict[str, Any]:
    """What UpdateDestination makes of a configuration: absent members stay.

    Raises:
        InvalidArgument: dynamic partitioning can't be switched on afterwards.
    """
    merged = dict(config)
    for member, value in update.items():
        if member == "S3BackupUpdate":
            merged["S3BackupConfiguration"] = {**config.get("S3BackupConfiguration", {}), **value}
        elif member in _MERGED_DEEPLY:
            merged[member] = {**config.get(member, {}), **value}
        else:
            merged[member] = value
    was, now = (
        bool(each.get("DynamicPartitioningConfiguration", {}).get("Enabled"))
        for each in (config, merged)
    )
    if now and not was:
        raise InvalidArgument(
            "dynamic partitioning can't be enabled on an existing delivery stream.",
            hint="Create another stream with it, as on AWS.",
        )
    return merged


def declared_configuration(pipeline: Pipeline) -> dict[str, Any]:
    """The configuration that a pipeline's [stream] section stands for."""
    stream = pipeline.stream
    config: dict[str, Any] = {
        "RoleARN": LOCAL_ROLE_ARN,
        "BucketARN": f"arn:aws:s3:::{pipeline.raw_bucket}",
        "Prefix": stream.prefix,
        "ErrorOutputPrefix": stream.error_prefix,
        "BufferingHints": {
            "SizeInMBs": stream.buffer_size_mb,
            "IntervalInSeconds": stream.buffer_interval_seconds,
        },
        "CompressionFormat": stream.compression,
    }
    if stream.append_delimiter:
        config["ProcessingConfiguration"] = {
            "Enabled": True,
            "Processors": [{"Type": "AppendDelimiterToRecord"}],
        }
    return config


def _bucket(config: Shape) -> str:
    found = re.fullmatch(r"arn:.*:s3:::([\w.\-]{1,255})", config.get("BucketARN", ""))
    if not found:
        raise InvalidArgument(
            f"BucketARN {config.get('BucketARN')!r} is not a bucket's ARN.",
            hint="Write arn:aws:s3:::bucket-name.",
        )
    return found[1]


def _parse_hints(config: Shape, *, is_converted: bool) -> Hints:
    hints = config.get("BufferingHints", {})
    size_mb = hints.get(
        "SizeInMBs", _CONVERSION_BUFFER_SIZE_MB if is_converted else _BUFFER_SIZE_MB
    )
    if is_converted and size_mb < _CONVERSION_BUFFER_SIZE_MB_MIN:
        raise InvalidArgument(
            f"BufferingHints.SizeInMBs {size_mb} is too small where the format is converted.",
            hint=f"Choose from {_CONVERSION_BUFFER_SIZE_MB_MIN} to 128.",
        )
    return Hints(
        size_mb * MEBIBYTE, float(hints.get("IntervalInSeconds", _BUFFER_INTERVAL_SECONDS))
    )


def _parse_file_extension(text: str) -> str:
    if text and not re.fullmatch(r"\.[0-9a-z!\-_.*'()]+", text):
        raise InvalidArgument(
            f"FileExtension {text!r} is not valid.", hint="It begins with a dot: .json.gz"
        )
    return text


def _parse_time_zone(name: str, *, is_stored: bool) -> tzinfo:
    if not name or name == "UTC":
        return UTC
    if not is_stored and name not in _zone_names():
        raise InvalidArgument(
            f"CustomTimeZone {name!r} is not a time zone.", hint="Such as Europe/Vienna."
        )
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    """IANA's names, as tzdata lists them: the same on every machine.

    ZoneInfo opens what else lies in the machine's folder too: `localtime` and `posixrules`,
    which mean another zone on each, `right/…`, which counts leap seconds. It fails on
    `America`, a folder, with whatever the file system says.
    """
    names = resources.files("tzdata").joinpath("zones").read_text("utf-8").split()
    return frozenset(names) - {"Factory"}  # stands for a zone that nobody has set


def _parse_backup(config: Shape, *, is_stored: bool) -> Destination | None:
    if config.get("S3BackupMode", "Disabled") != "Enabled":
        return None
    backup = config.get("S3BackupConfiguration")
    if not backup:
        raise InvalidArgument(
            "S3BackupMode is Enabled and S3BackupConfiguration is missing.",
            hint="Say which bucket keeps the source records.",
        )
    return parse_destination(backup, is_stored=is_stored)


def _parse_conversion(config: Shape) -> Conversion | None:
    conversion = config.get("DataFormatConversionConfiguration", {})
    if not conversion or not conversion.get("Enabled", True):
        return None
    schema = conversion.get("SchemaConfiguration", {})
    if not schema.get("DatabaseName") or not schema.get("TableName"):
        raise InvalidArgument(
            "DataFormatConversionConfiguration needs a schema.",
            hint="Set SchemaConfiguration.DatabaseName and TableName.",
        )
    serializer = conversion.get("OutputFormatConfiguration", {}).get("Serializer", {})
    if "OrcSerDe" in serializer:
        raise InvalidArgument(
            "OrcSerDe is not offered by Lakelet.", hint="Use ParquetSerDe; Athena reads both."
        )
    deserializer = conversion.get("InputFormatConfiguration", {}).get("Deserializer", {})
    if deserializer.get("HiveJsonSerDe", {}).get("TimestampFormats"):
        raise InvalidArgument(
            "HiveJsonSerDe.TimestampFormats is not offered by Lakelet.",
            hint="ISO 8601, `yyyy-MM-dd HH:mm:ss` and epochs are read without it.",
        )
    openx = deserializer.get("OpenXJsonSerDe", {})
    return Conversion(
        database=schema["DatabaseName"],
        table=schema["TableName"],
        compression=serializer.get("ParquetSerDe", {}).get("Compression", "SNAPPY").lower(),
        columns=dict(openx.get("ColumnToJsonKeyMappings", {})),
        case_insensitive=openx.get("CaseInsensitive", True),
        dots_to_underscores=openx.get("ConvertDotsInJsonKeysToUnderscores", False),
    )
