"""The `[aws]` section of a declaration, and every name the AWS home gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lakelet.model.errors import DeclarationError
from lakelet.model.pipeline import Pipeline
from lakelet.model.toml import Section

_ARN = r"(arn:[\w-]+:[\w-]+:.*)?"
_LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)
BUCKET_NAME_MAX = 63  # S3's quota


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    memory_mb: int = 1769  # one whole vCPU (Lambda's documentation)
    timeout_seconds: int = 300
    reserved_concurrency: int = 0  # 0: none reserved; a new account has only 10 in all
    layer_arn: str = ""  # "": the managed layer of the region, see layers.py
    event_age_max_seconds: int = 21_600


@dataclass(frozen=True, slots=True)
class JobSettings:
    schedule: str = ""  # "": started by hand; else cron(…)
    glue_version: str = "5.1"
    worker_type: str = "G.1X"
    workers: int = 2
    timeout_minutes: int = 120


@dataclass(frozen=True, slots=True)
class VpcSettings:
    id: str = ""  # "": no endpoints
    subnet_ids: tuple[str, ...] = ()
    route_table_ids: tuple[str, ...] = ()
    cidr: str = "10.0.0.0/8"  # who may reach the interface endpoints


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """What AWS needs to be told beyond the pipeline itself. The defaults deploy."""

    stage: str = ""  # "" or a word that joins every name: two stages share an account
    kms_key_arn: str = ""  # "": SSE-S3 and AWS-owned keys
    permissions_boundary_arn: str = ""
    access_logs_bucket: str = ""
    notify_email: str = ""
    monthly_budget_usd: int = 0
    partitions: str = "crawler"
    saved_queries: bool = True
    glue_encryption: bool = True
    log_retention_days: int = 30
    analysts: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    function: FunctionSettings = field(default_factory=FunctionSettings)
    job: JobSettings = field(default_factory=JobSettings)
    vpc: VpcSettings = field(default_factory=VpcSettings)


def read_aws(section: Section) -> AwsSettings:
    """Take the `[aws]` section; raises DeclarationError for what cannot be meant."""
    default = AwsSettings()
    function, job, vpc = (section.section(name) for name in ("function", "job", "vpc"))
    settings = AwsSettings(
        stage=section.take("stage", str, "", pattern=r"([a-z][a-z0-9]{0,11})?"),
        kms_key_arn=section.take("kms_key_arn", str, "", pattern=_ARN),
        permissions_boundary_arn=section.take("permissions_boundary_arn", str, "", pattern=_ARN),
        access_logs_bucket=section.take("access_logs_bucket", str, ""),
        notify_email=section.take("notify_email", str, "", pattern=r"([^@\s]+@[^@\s]+)?"),
        monthly_budget_usd=section.take("monthly_budget_usd", int, 0, least=0, most=10_000_000),
        partitions=section.take(
            "partitions", str, default.partitions, choices=("crawler", "projection")
        ),
        saved_queries=section.take("saved_queries", bool, True),
        glue_encryption=section.take("glue_encryption", bool, True),
        log_retention_days=_log_days(section),
        analysts=_names(section, "analysts"),
        producers=_names(section, "producers"),
        tags={key: str(value) for key, value in section.take("tags", dict, {}).items()},
        function=_read_function(function),
        job=_read_job(job),
        vpc=VpcSettings(
            id=vpc.take("id", str, "", pattern=r"(vpc-\w+)?"),
            subnet_ids=_names(vpc, "subnet_ids"),
            route_table_ids=_names(vpc, "route_table_ids"),
            cidr=vpc.take("cidr", str, VpcSettings().cidr),
        ),
    )
    for one in (section, function, job, vpc):
        one.finish()
    return settings


def _read_function(section: Section) -> FunctionSettings:
    default = FunctionSettings()
    return FunctionSettings(
        memory_mb=section.take("memory_mb", int, default.memory_mb, least=512, most=10_240),
        timeout_seconds=section.take(
            "timeout_seconds", int, default.timeout_seconds, least=30, most=900
        ),
        reserved_concurrency=section.take(
            "reserved_concurrency", int, default.reserved_concurrency, least=0, most=100_000
        ),
        layer_arn=section.take("layer_arn", str, "", pattern=_ARN),
        event_age_max_seconds=section.take(
            "event_age_max_seconds", int, default.event_age_max_seconds, least=60, most=21_600
        ),
    )


def _read_job(section: Section) -> JobSettings:
    default = JobSettings()
    return JobSettings(
        schedule=section.take("schedule", str, "", pattern=r"(cron\(.+\))?"),
        glue_version=section.take(
            "glue_version", str, default.glue_version, choices=("5.0", "5.1")
        ),
        worker_type=section.take(
            "worker_type", str, default.worker_type, choices=("G.1X", "G.2X", "G.4X", "G.8X")
        ),
        workers=section.take("workers", int, default.workers, least=2, most=299),
        timeout_minutes=section.take(
            "timeout_minutes", int, default.timeout_minutes, least=1, most=10_080
        ),
    )


def _log_days(section: Section) -> int:
    days = section.take("log_retention_days", int, AwsSettings().log_retention_days)
    if days not in _LOG_DAYS:
        known = ", ".join(map(str, _LOG_DAYS))
        raise section.error(
            "log_retention_days", f"CloudWatch keeps no logs for {days} days", f"One of: {known}."
        )
    return days


def _names(section: Section, key: str) -> tuple[str, ...]:
    values = section.take(key, list, [])
    if not all(isinstance(value, str) for value in values):
        raise section.error(key, "the list holds something that is no string", "Quote each one.")
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Names:
    """Every name of one deployment. Buckets carry account and region: S3's names are the
    world's; roles carry the region: IAM's are the account's."""

    pipeline: Pipeline
    stage: str = ""

    @property
    def base(self) -> str:
        return f"{self.pipeline.name}-{self.stage}" if self.stage else self.pipeline.name

    @property
    def stack(self) -> str:
        return f"lakelet-{self.base}"

    @property
    def database(self) -> str:
        return self.base.replace("-", "_")

    @property
    def function(self) -> str:
        return f"{self.base}-transform"

    @property
    def job(self) -> str:
        return f"{self.base}-backfill"

    def bucket(self, zone: str) -> str:
        """`zone`: raw, transformed, results or scripts. CloudFormation fills the rest in."""
        return f"{self.base}-{zone}-${{AWS::AccountId}}-${{AWS::Region}}"

    def role(self, actor: str) -> str:
        return f"{self.base}-{actor}-${{AWS::Region}}"

    def resolved_bucket(self, zone: str, account: str, region: str) -> str:
        """Raises DeclarationError where S3 would refuse the name."""
        name = f"{self.base}-{zone}-{account}-{region}"
        if len(name) > BUCKET_NAME_MAX:
            raise DeclarationError(
                f"The bucket name {name} has {len(name)} characters; S3 allows {BUCKET_NAME_MAX}.",
                hint=f"Shorten the pipeline's name by {len(name) - BUCKET_NAME_MAX}.",
            )
        return name
