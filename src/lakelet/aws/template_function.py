"""The transform function: started by each raw object, and what happens when it fails."""

from typing import Any

from lakelet.aws import environment
from lakelet.aws.cfn import (
    Resource,
    Statement,
    arn,
    get_att,
    ref,
    resource,
    role,
    sub,
    tag_list,
    trust_service,
)
from lakelet.aws.layers import LAYER_ACCOUNT, LAYER_NAME, LAYER_VERSIONS
from lakelet.aws.site import Site
from lakelet.aws.template_stream import log_group
from lakelet.model.layout import MANIFEST_PREFIX, QUARANTINE_PREFIX

RUNTIME = "python3.11"
QUEUE_RETENTION_SECONDS = 14 * 86_400  # SQS's longest
RETRIES = 2  # Lambda's default and most for asynchronous calls


def function(site: Site) -> dict[str, Resource]:
    settings = site.settings.function
    return {
        "TransformLogGroup": log_group(site, f"/aws/lambda/{site.names.function}"),
        "DeadLetters": _queue(site, "dead-letters"),
        "Failures": _queue(site, "failures"),
        "TransformRole": _role(site),
        "TransformFunction": _function(site),
        "TransformRetries": resource(
            "AWS::Lambda::EventInvokeConfig",
            {
                "FunctionName": ref("TransformFunction"),
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": RETRIES,
                "MaximumEventAgeInSeconds": settings.event_age_max_seconds,
                # The failure with its reason, for people; the dead letter beside it is
                # the bare S3 event, which can be sent again as it is.
                "DestinationConfig": {"OnFailure": {"Destination": get_att("Failures")}},
            },
        ),
        "TransformPermission": resource(
            "AWS::Lambda::Permission",
            {
                "Action": "lambda:InvokeFunction",
                "FunctionName": ref("TransformFunction"),
                "Principal": "s3.amazonaws.com",
                # By name, not by reference: the bucket needs this permission first.
                "SourceArn": site.bucket_arn("raw"),
                "SourceAccount": ref("AWS::AccountId"),
            },
        ),
    }


def parameters(site: Site) -> dict[str, Any]:
    """What only the packaging knows; `lakelet deploy` fills them in."""
    layer = "ARN of the AWS SDK for pandas layer; empty takes the region's default."
    keyring = {
        "Type": "String",
        "Description": "ARN of the secret with the pseudonyms' keys: "
        '{"current": "k1", "k1": "<random>"}. It outlives the stack.',
    }
    return ({"KeyringSecretArn": keyring} if site.contract.needs_key else {}) | {
        "FunctionPackage": {
            "Type": "String",
            "Description": "Key of the zip in the scripts bucket",
        },
        "LayerArn": {
            "Type": "String",
            "Default": site.settings.function.layer_arn,
            "Description": layer,
        },
    }


def mappings() -> dict[str, Any]:
    return {"Layer": {region: {"Version": str(v)} for region, v in LAYER_VERSIONS.items()}}


def conditions() -> dict[str, Any]:
    return {"DefaultLayer": {"Fn::Equals": [ref("LayerArn"), ""]}}


def _default_layer() -> dict[str, Any]:
    version = {"Fn::FindInMap": ["Layer", ref("AWS::Region"), "Version"]}
    layer = "arn:${AWS::Partition}:lambda:${AWS::Region}:" + f"{LAYER_ACCOUNT}:layer:{LAYER_NAME}"
    return {"Fn::Sub": [layer + ":${Version}", {"Version": version}]}


def _function(site: Site) -> Resource:
    settings = site.settings.function
    variables: dict[str, Any] = {
        environment.PIPELINE: site.names.base,
        environment.BUCKET_SUFFIX: sub("-${AWS::AccountId}-${AWS::Region}"),
    }
    if site.contract.needs_key:
        variables[environment.KEYRING_SECRET] = ref("KeyringSecretArn")
    return resource(
        "AWS::Lambda::Function",
        {
            "FunctionName": site.names.function,
            "Description": "Raw events to partitioned Parquet, without personal data.",
            "Runtime": RUNTIME,
            "Architectures": ["x86_64"],
            "Handler": environment.HANDLER,
            "Code": {"S3Bucket": ref("ScriptsBucket"), "S3Key": ref("FunctionPackage")},
            "Layers": [{"Fn::If": ["DefaultLayer", _default_layer(), ref("LayerArn")]}],
            "Role": get_att("TransformRole"),
            "MemorySize": settings.memory_mb,
            "Timeout": settings.timeout_seconds,
            "ReservedConcurrentExecutions": settings.reserved_concurrency or None,
            "DeadLetterConfig": {"TargetArn": get_att("DeadLetters")},
            "KmsKeyArn": site.settings.kms_key_arn or None,
            "LoggingConfig": {"LogGroup": ref("TransformLogGroup"), "LogFormat": "Text"},
            "Environment": {"Variables": variables},
            "Tags": tag_list(site.tags),
        },
    )


def _queue(site: Site, name: str) -> Resource:
    key = site.settings.kms_key_arn
    encryption: dict[str, Any] = {"KmsMasterKeyId": key} if key else {"SqsManagedSseEnabled": True}
    return resource(
        "AWS::SQS::Queue",
        {
            "QueueName": f"{site.names.base}-{name}",
            "MessageRetentionPeriod": QUEUE_RETENTION_SECONDS,
            **encryption,
            "Tags": tag_list(site.tags),
        },
    )


def transform_statements(site: Site) -> list[Statement]:
    """What turning raw objects into rows takes, whoever does it: the function or the job."""
    tables = tuple(site.bucket_arn("transformed", f"{t.name}/*") for t in site.contract.tables)
    manifests = site.bucket_arn("transformed", f"{MANIFEST_PREFIX}*")
    statements = [
        Statement(
            "ReadRawEvents",
            "the raw object is what it transforms; never errors or quarantine",
            ("s3:GetObject",),
            (site.bucket_arn("raw", f"{site.event_prefix}*"),),
        ),
        Statement(
            "WriteRows",
            "one Parquet object a table and day, under a key derived from the raw one",
            ("s3:PutObject", "s3:AbortMultipartUpload"),
            tables,
        ),
        Statement(
            "WeighRows",
            "the size of what was just written goes into the manifest (HEAD asks this right)",
            ("s3:GetObject",),
            (*tables, site.bucket_arn("raw", f"{QUARANTINE_PREFIX}*")),
        ),
        Statement(
            "ForgetFormerRows",
            "an object made anew under a changed contract may no longer have rows in a day",
            ("s3:DeleteObject",),
            (*tables, site.bucket_arn("raw", f"{QUARANTINE_PREFIX}*")),
        ),
        Statement(
            "KeepTheLedger",
            "the manifest says what became of each event; a second run reads the first's",
            ("s3:GetObject", "s3:PutObject"),
            (manifests,),
        ),
        Statement(
            "SeeWhatIsMissing",
            "without the right to list, S3 answers 403 instead of 404 for a manifest to come",
            ("s3:ListBucket",),
            (site.bucket_arn("transformed"),),
        ),
        Statement(
            "SetAside",
            "what it cannot read goes to quarantine: original bytes, so in the raw bucket",
            ("s3:PutObject", "s3:AbortMultipartUpload"),
            (site.bucket_arn("raw", f"{QUARANTINE_PREFIX}*"),),
        ),
    ]
    if site.contract.needs_key:
        statements.append(
            Statement(
                "ReadTheKeyring",
                "pseudonyms are made with a secret key",
                ("secretsmanager:GetSecretValue",),
                (ref("KeyringSecretArn"),),
            )
        )
    return statements


def _role(site: Site) -> Resource:
    statements = [
        *transform_statements(site),
        Statement(
            "HandFailuresOn",
            "an event that failed three times is kept, with and without its reason",
            ("sqs:SendMessage",),
            (get_att("DeadLetters"), get_att("Failures")),
        ),
        Statement(
            "WriteItsLog",
            "its own log group only, which exists already; metrics travel in it (EMF)",
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            # The group itself for a new stream, what is in it for the lines.
            (
                arn("logs", f"log-group:/aws/lambda/{site.names.function}"),
                arn("logs", f"log-group:/aws/lambda/{site.names.function}:*"),
            ),
        ),
        *site.kms_statements("s3", "sqs", "secretsmanager"),
    ]
    return role(
        site.names.role("transform"),
        "The transform function: reads raw events, writes rows, manifests and quarantine.",
        trust_service("lambda.amazonaws.com"),
        statements,
        boundary_arn=site.settings.permissions_boundary_arn,
        tags=site.tags,
    )
