"""The delivery stream: from PutRecord to the raw zone."""

from lakelet.aws.cfn import (
    Resource,
    Statement,
    arn,
    get_att,
    ref,
    resource,
    role,
    tag_list,
    trust_service,
)
from lakelet.aws.site import Site

LOG_STREAM = "S3Delivery"


def stream(site: Site) -> dict[str, Resource]:
    return {
        "StreamLogGroup": log_group(site, _log_name(site)),
        "StreamLogStream": resource(
            "AWS::Logs::LogStream",
            {"LogGroupName": ref("StreamLogGroup"), "LogStreamName": LOG_STREAM},
        ),
        "StreamRole": _role(site),
        "DeliveryStream": _stream(site),
    }


def _log_name(site: Site) -> str:
    return f"/aws/kinesisfirehose/{site.names.base}"


def log_group(site: Site, name: str) -> Resource:
    made = resource(
        "AWS::Logs::LogGroup",
        {
            "LogGroupName": name,
            "RetentionInDays": site.settings.log_retention_days,
            "KmsKeyId": site.settings.kms_key_arn or None,
            "Tags": tag_list(site.tags),
        },
    )
    # Logs hold no payload and end by retention: they go with the stack.
    made["DeletionPolicy"] = made["UpdateReplacePolicy"] = "Delete"
    return made


def _stream(site: Site) -> Resource:
    wanted, key = site.pipeline.stream, site.settings.kms_key_arn
    processors = (
        [{"Type": "AppendDelimiterToRecord", "Parameters": [_DELIMITER]}]
        if wanted.append_delimiter
        else []
    )
    encryption = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key} if key else None
    return resource(
        "AWS::KinesisFirehose::DeliveryStream",
        {
            "DeliveryStreamName": site.names.base,
            "DeliveryStreamType": "DirectPut",
            "DeliveryStreamEncryptionConfigurationInput": encryption
            or {"KeyType": "AWS_OWNED_CMK"},
            "ExtendedS3DestinationConfiguration": {
                "BucketARN": get_att("RawBucket"),
                "RoleARN": get_att("StreamRole"),
                "BufferingHints": {
                    "IntervalInSeconds": wanted.buffer_interval_seconds,
                    "SizeInMBs": wanted.buffer_size_mb,
                },
                "CompressionFormat": wanted.compression,
                "Prefix": wanted.prefix,
                "ErrorOutputPrefix": wanted.error_prefix,
                "ProcessingConfiguration": {
                    "Enabled": bool(processors),
                    "Processors": processors,
                },
                "CloudWatchLoggingOptions": {
                    "Enabled": True,
                    "LogGroupName": ref("StreamLogGroup"),
                    "LogStreamName": ref("StreamLogStream"),
                },
            },
            "Tags": tag_list(site.tags),
        },
        # A stream made before its bucket's policy stands could miss its first delivery.
        depends_on=("RawBucketPolicy",),
    )


# The value is the two characters `\n`, as Firehose's documentation has it.
_DELIMITER = {"ParameterName": "Delimiter", "ParameterValue": "\\n"}


def _role(site: Site) -> Resource:
    statements = [
        Statement(
            "DeliverEvents",
            "one object a buffer; the multipart calls finish or drop a large one",
            ("s3:PutObject", "s3:AbortMultipartUpload"),
            (
                site.bucket_arn("raw", f"{site.event_prefix}*"),
                site.bucket_arn("raw", f"{site.error_root}*"),
            ),
        ),
        Statement(
            "FindTheBucket",
            "Firehose looks the bucket up before it delivers and resumes uploads it began",
            ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
            (site.bucket_arn("raw"),),
        ),
        Statement(
            "LogFailedDeliveries",
            "delivery errors are told in the stream's own log",
            ("logs:PutLogEvents",),
            # Written out: the group's own Arn ends in `:*`.
            (arn("logs", f"log-group:{_log_name(site)}:log-stream:{LOG_STREAM}"),),
        ),
        *site.kms_statements("s3"),
    ]
    # Source: Firehose's documentation on access names the account as the external id.
    only_ours = {"StringEquals": {"sts:ExternalId": ref("AWS::AccountId")}}
    return role(
        site.names.role("stream"),
        "The delivery stream: writes raw objects, reads none.",
        trust_service("firehose.amazonaws.com", only_ours),
        statements,
        boundary_arn=site.settings.permissions_boundary_arn,
        tags=site.tags,
    )
