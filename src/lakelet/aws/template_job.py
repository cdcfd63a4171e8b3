"""The Spark job: the same transform over many raw objects, for backfills and reprocessing."""

from lakelet.aws.cfn import (
    Resource,
    Statement,
    get_att,
    ref,
    resource,
    role,
    sub,
    trust_service,
)
from lakelet.aws.site import Site
from lakelet.aws.template_catalog import OUR_ACCOUNT_ONLY, glue_common, security_configuration
from lakelet.aws.template_function import transform_statements
from lakelet.aws.template_stream import log_group
from lakelet.model.layout import ASIDE_PREFIX, COMPACTION_PREFIX, SWAP_PREFIX


def job(site: Site) -> dict[str, Resource]:
    made = {
        "JobLogGroup": log_group(site, f"/aws-glue/jobs/{site.names.job}"),
        "JobRole": _role(site),
        "Job": _job(site),
    }
    if site.settings.job.schedule:
        made["JobTrigger"] = resource(
            "AWS::Glue::Trigger",
            {
                "Name": site.names.job,
                "Description": "Takes up raw objects that have no manifest yet.",
                "Type": "SCHEDULED",
                "Schedule": site.settings.job.schedule,
                "StartOnCreation": True,
                "Actions": [{"JobName": ref("Job")}],
                "Tags": site.tags,
            },
        )
    return made


def parameters() -> dict[str, dict[str, str]]:
    return {
        "JobScript": {"Type": "String", "Description": "Key of the script in the scripts bucket"},
        "JobWheel": {"Type": "String", "Description": "Key of the wheel in the scripts bucket"},
    }


def _job(site: Site) -> Resource:
    settings = site.settings.job
    arguments = {
        "--job-language": "python",
        # pip installs it on driver and workers; it has no dependencies to fetch.
        "--additional-python-modules": sub("s3://${ScriptsBucket}/${JobWheel}"),
        "--enable-metrics": "true",
        "--enable-continuous-cloudwatch-log": "true",
        "--continuous-log-logGroup": ref("JobLogGroup"),
        # No bookmark: a manifest is written last, so what lacks one is what is to do.
        "--job-bookmark-option": "job-bookmark-disable",
        "--pipeline": site.names.base,
        "--bucket_suffix": sub("-${AWS::AccountId}-${AWS::Region}"),
    }
    if site.contract.needs_key:
        arguments["--keyring_secret_arn"] = ref("KeyringSecretArn")
    return resource(
        "AWS::Glue::Job",
        {
            "Name": site.names.job,
            "Description": "Raw events to Parquet in bulk: the function's own code on Spark.",
            "Role": get_att("JobRole"),
            "GlueVersion": settings.glue_version,
            "WorkerType": settings.worker_type,
            "NumberOfWorkers": settings.workers,
            "Timeout": settings.timeout_minutes,
            # Two runs at once would only do the same work twice.
            "ExecutionProperty": {"MaxConcurrentRuns": 1},
            "MaxRetries": 0,
            "Command": {
                "Name": "glueetl",
                "PythonVersion": "3",
                "ScriptLocation": sub("s3://${ScriptsBucket}/${JobScript}"),
            },
            "DefaultArguments": arguments,
            "SecurityConfiguration": security_configuration(site),
            "Tags": site.tags,
        },
    )


def _role(site: Site) -> Resource:
    statements = [
        Statement(
            "ReadItsCode",
            "script and wheel",
            ("s3:GetObject",),
            (site.bucket_arn("scripts", "code/*"),),
        ),
        Statement(
            "ListRawEvents",
            "what is to do is what lies in raw and has no manifest",
            ("s3:ListBucket", "s3:GetBucketLocation"),
            (site.bucket_arn("raw"),),
        ),
        *transform_statements(site),
        Statement(
            "MergeDays",
            "compaction writes aside, enters journal and ledger, and removes what it merged",
            ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
            tuple(
                site.bucket_arn("transformed", f"{prefix}*")
                for prefix in (ASIDE_PREFIX, SWAP_PREFIX, COMPACTION_PREFIX)
            ),
        ),
        Statement(
            "MeasureItself",
            "Glue's own job metrics; the action knows no resources, so the namespace binds it",
            ("cloudwatch:PutMetricData",),
            ("*",),
            {"StringEquals": {"cloudwatch:namespace": "Glue"}},
        ),
        *glue_common(site, "jobs"),
    ]
    return role(
        site.names.role("job"),
        "The Spark job: does what the function does, over many objects.",
        trust_service("glue.amazonaws.com", OUR_ACCOUNT_ONLY),
        statements,
        boundary_arn=site.settings.permissions_boundary_arn,
        tags=site.tags,
    )
