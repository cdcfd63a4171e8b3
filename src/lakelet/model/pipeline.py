"""The pipeline declaration: what is wanted, wherever it runs."""

from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from lakelet.model.toml import Section, load, load_file

DEFAULT_NAME = "lakelet.toml"

# Firehose allows [a-zA-Z0-9_.-]{1,64}; the name also makes bucket names (lower
# case, no `_`), a database and a workgroup, so we take what all of them allow.
NAME_PATTERN = r"[a-z][a-z0-9-]{0,38}[a-z0-9]"


@dataclass(frozen=True, slots=True)
class StreamSettings:
    buffer_interval_seconds: int = 60
    buffer_size_mb: int = 5
    compression: str = "GZIP"
    prefix: str = "year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/"
    error_prefix: str = (
        "errors/!{firehose:error-output-type}/"
        "year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/"
    )
    append_delimiter: bool = True


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    raw_days: int = 30
    results_days: int = 7


@dataclass(frozen=True, slots=True)
class CrawlerSettings:
    after_new_data: bool = True
    schedule: str = "rate(1 hour)"


@dataclass(frozen=True, slots=True)
class WorkgroupSettings:
    bytes_scanned_cutoff: int = 0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything but the contract. `Declaration` holds both."""

    name: str = "clickstream"
    stream: StreamSettings = field(default_factory=StreamSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    crawler: CrawlerSettings = field(default_factory=CrawlerSettings)
    workgroup: WorkgroupSettings = field(default_factory=WorkgroupSettings)
    bucket_suffix: str = ""  # on AWS `-<account>-<region>`: bucket names are the world's

    @property
    def raw_bucket(self) -> str:
        return f"{self.name}-raw{self.bucket_suffix}"

    @property
    def transformed_bucket(self) -> str:
        return f"{self.name}-transformed{self.bucket_suffix}"

    @property
    def results_bucket(self) -> str:
        return f"{self.name}-results{self.bucket_suffix}"

    @property
    def scripts_bucket(self) -> str:
        return f"{self.name}-scripts{self.bucket_suffix}"

    @property
    def buckets(self) -> tuple[str, str, str, str]:
        return self.raw_bucket, self.transformed_bucket, self.results_bucket, self.scripts_bucket

    @property
    def database(self) -> str:
        return self.name.replace("-", "_")

    @property
    def workgroup_name(self) -> str:
        return self.name

    @property
    def crawler_name(self) -> str:
        return self.name


def read_pipeline(root: Section) -> Pipeline:
    """Take the pipeline's sections from a document's root; the contract is left in it."""
    root.take("version", int, 1, least=1, most=1)
    pipeline, stream = root.section("pipeline"), root.section("stream")
    retention, crawler = root.section("retention"), root.section("crawler")
    workgroup = root.section("workgroup")
    declared = Pipeline(
        name=pipeline.take("name", str, "clickstream", pattern=NAME_PATTERN),
        stream=_read_stream(stream),
        retention=RetentionSettings(
            raw_days=retention.take("raw_days", int, 30, least=1, most=36_500),
            results_days=retention.take("results_days", int, 7, least=1, most=36_500),
        ),
        crawler=CrawlerSettings(
            after_new_data=crawler.take("after_new_data", bool, True),
            schedule=crawler.take("schedule", str, "rate(1 hour)"),
        ),
        workgroup=WorkgroupSettings(
            bytes_scanned_cutoff=workgroup.take(
                "bytes_scanned_cutoff", int, 0, least=0, most=7 * 10**15
            )
        ),
    )
    for section in (pipeline, stream, retention, crawler, workgroup):
        section.finish()
    return declared


def _read_stream(section: Section) -> StreamSettings:
    default = StreamSettings()
    return StreamSettings(
        buffer_interval_seconds=section.take(
            "buffer_interval_seconds", int, default.buffer_interval_seconds, least=0, most=900
        ),
        buffer_size_mb=section.take(
            "buffer_size_mb", int, default.buffer_size_mb, least=1, most=128
        ),
        compression=section.take(
            "compression",
            str,
            default.compression,
            choices=("UNCOMPRESSED", "GZIP", "Snappy", "HADOOP_SNAPPY", "ZIP"),
        ),
        prefix=section.take("prefix", str, default.prefix),
        error_prefix=section.take("error_prefix", str, default.error_prefix),
        append_delimiter=section.take("append_delimiter", bool, default.append_delimiter),
    )


@cache
def default_text() -> str:
    """The shipped lakelet.toml, commented: what `lakelet init` writes."""
    return resources.files("lakelet.model").joinpath(DEFAULT_NAME).read_text("utf-8")


def open_document(path: Path | None) -> Section:
    """The root of a declaration file, or of the shipped default."""
    return load_file(path) if path else load(default_text(), f"the default {DEFAULT_NAME}")
