"""The four buckets: what is kept, for how long, and who never gets in."""

from typing import Any

from lakelet.aws.cfn import Resource, get_att, ref, resource, sub, tag_list
from lakelet.aws.site import Site

ZONES = ("raw", "transformed", "results", "scripts")
# An upload broken off is invisible in a listing, but is billed until it is aborted.
ABORT_MULTIPART_DAYS = 1
TLS_VERSION_LEAST = "1.2"


def bucket_id(zone: str) -> str:
    return f"{zone.capitalize()}Bucket"


def storage(site: Site) -> dict[str, Resource]:
    made: dict[str, Resource] = {}
    for zone in ZONES:
        made[bucket_id(zone)] = _bucket(site, zone)
        made[f"{zone.capitalize()}BucketPolicy"] = _transport_policy(zone)
    return made


def _bucket(site: Site, zone: str) -> Resource:
    raw = zone == "raw"
    return resource(
        "AWS::S3::Bucket",
        {
            "BucketName": sub(site.names.bucket(zone)),
            "BucketEncryption": _encryption(site),
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            # No object ACLs: whoever writes, the bucket's owner owns.
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "LifecycleConfiguration": {"Rules": _lifecycle(site, zone)},
            "LoggingConfiguration": _access_logs(site, zone),
            "NotificationConfiguration": _notification(site) if raw else None,
            "Tags": tag_list({**site.tags, "lakelet:zone": zone}),
        },
        retained=True,
        # S3 tests the notification when it is set: the function must already let it in.
        depends_on=("TransformPermission",) if raw else (),
    )


def _encryption(site: Site) -> dict[str, Any]:
    key = site.settings.kms_key_arn
    rule: dict[str, Any] = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    if key:
        # The bucket key saves a KMS call an object.
        rule = {
            "BucketKeyEnabled": True,
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        }
    return {"ServerSideEncryptionConfiguration": [rule]}


def _lifecycle(site: Site, zone: str) -> list[dict[str, Any]]:
    retention = site.pipeline.retention
    days = {"raw": retention.raw_days, "results": retention.results_days}.get(zone)
    rules: list[dict[str, Any]] = [
        {
            "Id": "abort-broken-uploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_MULTIPART_DAYS},
        }
    ]
    if days:
        # The whole bucket: quarantine and delivery errors hold originals and live as raw does.
        rules.append(
            {"Id": f"expire-after-{days}-days", "Status": "Enabled", "ExpirationInDays": days}
        )
    return rules


def _access_logs(site: Site, zone: str) -> dict[str, str] | None:
    target = site.settings.access_logs_bucket
    if not target:
        return None
    return {"DestinationBucketName": target, "LogFilePrefix": f"{site.names.base}/{zone}/"}


def _notification(site: Site) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "Event": "s3:ObjectCreated:*",
        "Function": get_att("TransformFunction"),
    }
    if site.event_prefix:
        rule = {"Name": "prefix", "Value": site.event_prefix}
        configuration["Filter"] = {"S3Key": {"Rules": [rule]}}
    return {"LambdaConfigurations": [configuration]}


def _transport_policy(zone: str) -> Resource:
    """Goes with the stack, though the bucket stays: a policy that is there already would
    stop the next deployment. What is left is closed to the public by the bucket itself."""
    bucket = bucket_id(zone)
    everything = [get_att(bucket), sub(f"${{{bucket}.Arn}}/*")]

    def denied(sid: str, condition: dict[str, Any]) -> dict[str, Any]:
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": everything,
            "Condition": condition,
        }

    statements = [
        denied("TlsOnly", {"Bool": {"aws:SecureTransport": "false"}}),
        denied("NoOldTls", {"NumericLessThan": {"s3:TlsVersion": TLS_VERSION_LEAST}}),
    ]
    return resource(
        "AWS::S3::BucketPolicy",
        {
            "Bucket": ref(bucket),
            "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
        },
    )
