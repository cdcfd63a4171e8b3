"""What whoever deploys must be allowed: exact actions on this pipeline's names, no more.

Printed by `lakelet template --deployer-policy`, for the account's administrator to grant.
"""

import json
from typing import Any

from lakelet.aws.site import Site

# Of each service, what CloudFormation does on the deployer's behalf with our resource types:
# the handlers of their registry schemas name these actions (read 2026-11).
_S3 = (
    "CreateBucket DeleteBucket GetBucket* Get*Configuration "
    "GetObject ListBucket ListBucketVersions PutObject DeleteObject DeleteObjectVersion "
    "PutBucketLogging PutBucketNotification PutBucketOwnershipControls PutBucketPolicy "
    "DeleteBucketPolicy PutBucketPublicAccessBlock PutBucketTagging PutEncryptionConfiguration "
    "PutLifecycleConfiguration"
)
_IAM = (
    "CreateRole DeleteRole GetRole UpdateRole UpdateAssumeRolePolicy PutRolePolicy "
    "DeleteRolePolicy GetRolePolicy ListRolePolicies ListAttachedRolePolicies TagRole UntagRole "
    "PutRolePermissionsBoundary"
)
_LAMBDA = (
    "CreateFunction DeleteFunction GetFunction GetFunctionConfiguration "
    "GetFunctionCodeSigningConfig GetRuntimeManagementConfig UpdateFunctionCode "
    "UpdateFunctionConfiguration AddPermission RemovePermission GetPolicy "
    "PutFunctionEventInvokeConfig GetFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig "
    "DeleteFunctionEventInvokeConfig PutFunctionConcurrency DeleteFunctionConcurrency "
    "TagResource UntagResource ListTags InvokeFunction"
)
_GLUE = (
    "CreateDatabase DeleteDatabase GetDatabase UpdateDatabase CreateTable DeleteTable GetTable "
    "GetTables UpdateTable DeleteCrawler GetCrawler UpdateCrawler StartCrawler "
    "CreateJob DeleteJob GetJob UpdateJob StartJobRun CreateTrigger DeleteTrigger GetTrigger "
    "UpdateTrigger GetPartitions DeletePartition TagResource UntagResource GetTags"
)
_ATHENA = (
    "CreateWorkGroup DeleteWorkGroup GetWorkGroup UpdateWorkGroup CreateNamedQuery "
    "DeleteNamedQuery GetNamedQuery ListNamedQueries TagResource UntagResource ListTagsForResource"
)
_FIREHOSE = (
    "CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream UpdateDestination "
    "StartDeliveryStreamEncryption StopDeliveryStreamEncryption TagDeliveryStream "
    "UntagDeliveryStream ListTagsForDeliveryStream PutRecord PutRecordBatch"
)
_SQS = (
    "CreateQueue DeleteQueue GetQueueAttributes SetQueueAttributes GetQueueUrl TagQueue "
    "UntagQueue ListQueueTags ReceiveMessage DeleteMessage"
)
_LOGS = (
    "CreateLogGroup DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy CreateLogStream "
    "DeleteLogStream DescribeLogStreams TagResource UntagResource ListTagsForResource "
    "FilterLogEvents"
)
_STACK = (
    "CreateChangeSet DescribeChangeSet ExecuteChangeSet DeleteChangeSet DeleteStack "
    "DescribeStacks DescribeStackEvents ListStackResources ContinueUpdateRollback GetTemplate"
)
_WATCH = "PutMetricAlarm DeleteAlarms DescribeAlarms PutDashboard DeleteDashboards GetDashboard"
_EVENTS = "PutRule DeleteRule DescribeRule PutTargets RemoveTargets ListTargetsByRule"
# These know no resources, or only know them after the fact.
_UNBOUND = (
    "sts:GetCallerIdentity lambda:GetAccountSettings logs:DescribeLogGroups "
    "firehose:ListDeliveryStreams s3:ListAllMyBuckets servicequotas:ListServiceQuotas "
    "logs:PutResourcePolicy logs:DeleteResourcePolicy logs:DescribeResourcePolicies "
    "glue:CreateCrawler glue:CreateSecurityConfiguration glue:GetSecurityConfiguration "
    "glue:DeleteSecurityConfiguration cloudwatch:DescribeAlarms cloudformation:DescribeEvents"
)


# A managed policy may have so many characters, white space apart (IAM's quota).
POLICY_SIZE_MAX = 6_144


def deployer_policies(site: Site, account: str, region: str) -> list[dict[str, Any]]:
    """IAM policy documents, each short enough for a managed policy; all are needed. Every
    resource is named by the pipeline."""
    documents: list[dict[str, Any]] = []
    for statement in _statements(site, account, region):
        longer = {"Version": "2012-10-17", "Statement": [statement]}
        if documents:
            longer["Statement"] = [*documents[-1]["Statement"], statement]
            if len(json.dumps(longer, separators=(",", ":"))) <= POLICY_SIZE_MAX:
                documents[-1] = longer
                continue
            longer = {"Version": "2012-10-17", "Statement": [statement]}
        documents.append(longer)
    return documents


def _statements(site: Site, account: str, region: str) -> list[dict[str, Any]]:
    base, database = site.names.base, site.names.database

    def arn(service: str, rest: str) -> str:
        return f"arn:aws:{service}:{region}:{account}:{rest}"

    layer = f"arn:aws:lambda:{region}:336392948345:layer:AWSSDKPandas-Python311:*"
    tables = arn("glue", f"table/{database}/*")
    statements = [
        _statement("Stack", "cloudformation", _STACK,
                   arn("cloudformation", f"stack/{site.names.stack}/*")),
        _statement("Buckets", "s3", _S3, f"arn:aws:s3:::{base}-*-{account}-{region}",
                   f"arn:aws:s3:::{base}-*-{account}-{region}/*"),
        _statement("Roles", "iam", _IAM, f"arn:aws:iam::{account}:role/{base}-*-{region}"),
        {
            "Sid": "HandRolesOver",
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": [f"arn:aws:iam::{account}:role/{base}-*-{region}"],
            "Condition": {
                "StringEquals": {
                    "iam:PassedToService": [
                        "firehose.amazonaws.com", "lambda.amazonaws.com", "glue.amazonaws.com",
                    ]
                }
            },
        },
        _statement("Stream", "firehose", _FIREHOSE, arn("firehose", f"deliverystream/{base}")),
        _statement("Function", "lambda", _LAMBDA, arn("lambda", f"function:{base}-transform"),
                   arn("lambda", f"function:{base}-transform:*")),
        _statement("Layer", "lambda", "GetLayerVersion", layer),
        _statement("Queues", "sqs", _SQS, arn("sqs", f"{base}-*")),
        _statement("Catalog", "glue", _GLUE, arn("glue", "catalog"),
                   arn("glue", f"database/{database}"), tables,
                   arn("glue", f"crawler/{base}"), arn("glue", f"job/{base}-*"),
                   arn("glue", f"trigger/{base}-*")),
        _statement("Workgroup", "athena", _ATHENA, arn("athena", f"workgroup/{base}")),
        _statement("Alarms", "cloudwatch", _WATCH, arn("cloudwatch", f"alarm:{base}-*"),
                   f"arn:aws:cloudwatch::{account}:dashboard/{base}"),
        _statement("Rules", "events", _EVENTS, arn("events", f"rule/{base}-*")),
        _statement("Logs", "logs", _LOGS, *(
            arn("logs", f"log-group:{group}*")
            for group in (f"/aws/lambda/{base}-", f"/aws/kinesisfirehose/{base}",
                          f"/aws/events/{base}", f"/aws-glue/jobs/{base}-")
        )),
        {"Sid": "Look", "Effect": "Allow", "Action": _UNBOUND.split(), "Resource": ["*"]},
    ]  # fmt: skip
    if site.settings.notify_email:
        topics = "CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes Subscribe "
        topics += "Unsubscribe ListSubscriptionsByTopic TagResource UntagResource"
        statements.append(_statement("Topic", "sns", topics, arn("sns", f"{base}-notifications")))
    if site.settings.monthly_budget_usd:
        budget = f"arn:aws:budgets::{account}:budget/{base}"
        statements.append(_statement("Budget", "budgets", "ModifyBudget ViewBudget", budget))
    if site.settings.vpc.id:
        endpoints = "CreateVpcEndpoint DeleteVpcEndpoints ModifyVpcEndpoint DescribeVpcEndpoints "
        endpoints += "CreateSecurityGroup DeleteSecurityGroup AuthorizeSecurityGroupIngress "
        endpoints += "RevokeSecurityGroupIngress DescribeSecurityGroups CreateTags DescribeVpcs "
        endpoints += "DescribeSubnets DescribeRouteTables"
        statements.append(_statement("Endpoints", "ec2", endpoints, "*"))
    if site.settings.kms_key_arn:
        # Firehose and the log groups are given their use of the key by a grant.
        key = "CreateGrant DescribeKey Decrypt GenerateDataKey"
        statements.append(_statement("Key", "kms", key, site.settings.kms_key_arn))
    if site.contract.needs_key:
        secret = arn("secretsmanager", f"secret:{base}/keyring-*")
        secrets = "CreateSecret DescribeSecret DeleteSecret TagResource"
        statements.append(_statement("Keyring", "secretsmanager", secrets, secret))
    return statements


def _statement(sid: str, service: str, actions: str, *resources: str) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in actions.split()],
        "Resource": list(resources),
    }
