"""What is looked at before anything is made: so that a deployment fails in its first second,
with a sentence, and not in its fifth minute with a rollback."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lakelet.aws.layers import default_layer_arn
from lakelet.aws.looks import Account, Check
from lakelet.aws.quotas import check_quotas
from lakelet.aws.site import Site
from lakelet.aws.template_storage import ZONES
from lakelet.model.errors import LakeletError

# AWS keeps this much concurrency for functions that reserve none.
UNRESERVED_CONCURRENCY_LEAST = 100


class PreflightFailed(LakeletError):
    code = "aws.preflight"


def who_am_i(session: Any) -> Account:
    """Raises PreflightFailed where there are no credentials, or no region."""
    region = session.region_name
    if not region:
        raise PreflightFailed(
            "No region is set.",
            hint="--region eu-central-1, AWS_REGION, or the profile in ~/.aws/config.",
        )
    try:
        identity = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise PreflightFailed(
            f"AWS does not know who we are: {error}",
            hint="`aws sts get-caller-identity` must work: --profile NAME, `aws sso login`, "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        ) from error
    return Account(identity["Account"], region, identity["Arn"])


def check_all(
    session: Any, site: Site, account: Account, ours: Mapping[str, str]
) -> Iterator[Check]:
    """Every look in turn. `ours`: logical id → physical id of what the stack has already."""
    yield Check("account", True, f"{account.id} in {account.region}, as {account.caller_arn}")
    for zone in ZONES:
        bucket = site.names.resolved_bucket(zone, account.id, account.region)
        yield _bucket(session, bucket, account)
    yield from _names(session, site, ours)
    yield _layer(session, site, account)
    yield _concurrency(session, site)
    yield from check_quotas(session, site, account, ours)


def refuse(checks: list[Check]) -> None:
    """Raises PreflightFailed with everything that stands in the way at once."""
    failed = [check for check in checks if check.ok is False]
    if failed:
        raise PreflightFailed(
            "; ".join(f"{check.name}: {check.found}" for check in failed),
            hint="\n  ".join(dict.fromkeys(check.remedy for check in failed if check.remedy)),
        )


def _bucket(session: Any, bucket: str, account: Account) -> Check:
    name = f"bucket {bucket}"
    try:
        session.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=account.id)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("404", "NoSuchBucket", "NotFound"):
            return Check(name, True, "free")
        if code in ("403", "AccessDenied"):
            remedy = "Rename the pipeline or set [aws] stage: bucket names are the world's."
            return Check(name, False, "taken by another account, or closed to us", remedy)
        return Check(name, None, f"could not be looked at: {code}")
    return Check(name, True, "ours, kept as it is")


def _names(session: Any, site: Site, ours: Mapping[str, str]) -> Iterator[Check]:
    """Whether somebody else's things have the names we would give."""
    names = site.names
    looks: list[tuple[str, str, str, Callable[[], Any]]] = [
        (
            "DeliveryStream",
            "delivery stream",
            names.base,
            lambda: session.client("firehose").describe_delivery_stream(
                DeliveryStreamName=names.base
            ),
        ),
        (
            "TransformFunction",
            "function",
            names.function,
            lambda: session.client("lambda").get_function_configuration(
                FunctionName=names.function
            ),
        ),
        (
            "Database",
            "database",
            names.database,
            lambda: session.client("glue").get_database(Name=names.database),
        ),
        (
            "Workgroup",
            "workgroup",
            names.base,
            lambda: session.client("athena").get_work_group(WorkGroup=names.base),
        ),
    ]
    for logical_id, kind, name, look in looks:
        if ours.get(logical_id) == name:
            yield Check(f"{kind} {name}", True, "ours")
            continue
        yield _free(f"{kind} {name}", look)


def _free(what: str, look: Callable[[], Any]) -> Check:
    try:
        look()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "NotFound" in code or code in ("InvalidRequestException", "404"):
            return Check(what, True, "free")
        return Check(what, None, f"could not be looked at: {code}")
    remedy = "Set [aws] stage or rename the pipeline: this name is taken in the account."
    return Check(what, False, "is there and not of this stack", remedy)


def _layer(session: Any, site: Site, account: Account) -> Check:
    arn = site.settings.function.layer_arn or default_layer_arn(account.region)
    remedy = (
        "Set [aws.function] layer_arn to one of "
        "https://aws-sdk-pandas.readthedocs.io/en/stable/layers.html"
    )
    if arn is None:
        return Check("layer", False, f"none known for {account.region}", remedy)
    try:
        session.client("lambda").get_layer_version_by_arn(Arn=arn)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "NotFound" in code:
            return Check("layer", False, f"{arn} is not there", remedy)
        return Check("layer", None, f"{arn} could not be looked at: {code}")
    return Check("layer", True, arn)


def _concurrency(session: Any, site: Site) -> Check:
    wanted = site.settings.function.reserved_concurrency
    try:
        limits = session.client("lambda").get_account_settings()["AccountLimit"]
    except (ClientError, KeyError) as error:
        return Check("concurrency", None, f"could not be looked at: {error}")
    left = limits.get("UnreservedConcurrentExecutions", 0)
    least = min(UNRESERVED_CONCURRENCY_LEAST, limits.get("ConcurrentExecutions", left))
    if wanted and left - wanted < least:
        return Check(
            "concurrency",
            False,
            f"{wanted} to reserve, of {left} unreserved; AWS keeps {least} free",
            "Lower [aws.function] reserved_concurrency, or 0 for none.",
        )
    return Check("concurrency", True, f"{left} unreserved in the account")
