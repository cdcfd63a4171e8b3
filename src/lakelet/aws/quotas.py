"""Whether the account has room for what a deployment would add: streams and buckets.

What there is, is counted; how much there may be, Service Quotas says. Where we may not ask it,
AWS's documented default is told beside the count and stops nobody: an account's own quota is
often higher.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lakelet.aws.looks import Account, Check
from lakelet.aws.site import Site
from lakelet.aws.template_storage import ZONES

# Streams a region, by default: "Amazon Data Firehose Quota" in its developer guide, read
# 2026-11. The regions that are not named have the least.
_REGIONS_BY_STREAMS = {
    5_000: "us-east-1 us-east-2 us-west-2 eu-west-1 ap-northeast-1",
    2_000: "eu-central-1 eu-west-2 ap-southeast-1 ap-southeast-2 ap-northeast-2 ap-south-1 "
    "us-gov-west-1",
    500: "eu-west-3 eu-south-1 eu-north-1 ap-east-1 ap-northeast-3 sa-east-1 cn-northwest-1 "
    "cn-north-1 me-south-1 us-gov-east-1 af-south-1",
}
_STREAMS_BY_REGION = {
    region: count for count, regions in _REGIONS_BY_STREAMS.items() for region in regions.split()
}
_STREAMS_LEAST = 100
# General purpose buckets an account, by default: "Amazon S3 endpoints and quotas".
_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """How many there may be. `names`: the quota's in Service Quotas, which renames them."""

    service: str
    names: tuple[str, ...]
    default: int


def check_quotas(
    session: Any, site: Site, account: Account, ours: Mapping[str, str]
) -> Iterator[Check]:
    """`ours`: logical id → physical id of what the stack has already."""
    streams = Quota(
        "firehose",
        ("delivery streams", "firehose streams"),
        _STREAMS_BY_REGION.get(account.region, _STREAMS_LEAST),
    )
    names = {site.names.base} - {ours.get("DeliveryStream", "")}
    yield _room(session, "delivery streams", streams, names, lambda: _stream_names(session))
    buckets = Quota("s3", ("buckets", "general purpose buckets"), _BUCKETS)
    names = {site.names.resolved_bucket(zone, account.id, account.region) for zone in ZONES}
    yield _room(session, "buckets", buckets, names, lambda: _bucket_names(session))


def _room(
    session: Any, what: str, quota: Quota, wanted: set[str], look: Callable[[], set[str]]
) -> Check:
    """`wanted`: names of what is to be there afterwards, whether or not it is there now."""
    try:
        there = look()
    except (BotoCoreError, ClientError) as error:
        return Check(what, None, f"could not be counted: {_reason(error)}")
    more = len(wanted - there)
    if not more:
        return Check(what, True, f"{len(there):,}, none to add")
    allowed = applied_quota(session, quota)
    if allowed is not None:
        found = f"{len(there):,} of {allowed:,}, {more} to add"
        if len(there) + more <= allowed:
            return Check(what, True, found)
        remedy = (
            f"Ask for a higher quota of {what} ({quota.service}) in Service Quotas, or delete "
            "some that nobody needs."
        )
        return Check(what, False, found, remedy)
    found = f"{len(there):,}, {more} to add; AWS's default is {quota.default:,}"
    enough = len(there) + more <= quota.default
    return Check(what, True if enough else None, f"{found}, the account's own not known to us")


def applied_quota(session: Any, quota: Quota) -> int | None:
    """The account's own quota; None where Service Quotas is not for us, or knows none.

    By its name: codes are opaque, and not every region has the same.
    """
    try:
        client = session.client("service-quotas")
        pages = client.get_paginator("list_service_quotas").paginate(ServiceCode=quota.service)
        for one in (one for page in pages for one in page["Quotas"]):
            if one["QuotaName"].lower() in quota.names:
                return int(one["Value"])
    except (BotoCoreError, ClientError):
        pass
    return None


def _stream_names(session: Any) -> set[str]:
    """ListDeliveryStreams, page by page: it has no paginator."""
    firehose = session.client("firehose")
    names: list[str] = []
    while True:
        after = {"ExclusiveStartDeliveryStreamName": names[-1]} if names else {}
        page = firehose.list_delivery_streams(Limit=1_000, **after)
        names += page["DeliveryStreamNames"]
        if not page["HasMoreDeliveryStreams"] or not page["DeliveryStreamNames"]:
            return set(names)


def _bucket_names(session: Any) -> set[str]:
    pages = session.client("s3").get_paginator("list_buckets").paginate()
    return {one["Name"] for page in pages for one in page.get("Buckets", [])}


def _reason(error: Exception) -> str:
    code = getattr(error, "response", {}).get("Error", {}).get("Code")
    return str(code or error)
