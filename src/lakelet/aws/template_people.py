"""Who meets the pipeline from outside: producers, who may only put; analysts, who may only
ask. Their workgroup stands here too."""

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
    trust_principals,
)
from lakelet.aws.queries import once_name, saved_queries_for
from lakelet.aws.site import Site
from lakelet.aws.template_catalog import catalog_arns

# Athena's own least value; 0 in a declaration sets no limit.
BYTES_SCANNED_CUTOFF_LEAST = 10_000_000


def people(site: Site) -> dict[str, Resource]:
    made = {
        "Workgroup": _workgroup(site),
        "ProducerRole": _producer(site),
        "AnalystRole": _analyst(site),
    }
    if site.settings.saved_queries:
        made |= _saved_queries(site)
    return made


def _workgroup(site: Site) -> Resource:
    key, cutoff = site.settings.kms_key_arn, site.pipeline.workgroup.bytes_scanned_cutoff
    encryption = (
        {"EncryptionOption": "SSE_KMS", "KmsKey": key} if key else {"EncryptionOption": "SSE_S3"}
    )
    return resource(
        "AWS::Athena::WorkGroup",
        {
            "Name": site.names.base,
            "Description": f"Questions to the pipeline {site.names.base}.",
            "State": "ENABLED",
            # Queries kept by Athena are not data: the stack may take its workgroup along.
            "RecursiveDeleteOption": True,
            "WorkGroupConfiguration": {
                # A client's own location or encryption is overridden.
                "EnforceWorkGroupConfiguration": True,
                "PublishCloudWatchMetricsEnabled": True,
                "BytesScannedCutoffPerQuery": max(cutoff, BYTES_SCANNED_CUTOFF_LEAST)
                if cutoff
                else None,
                "EngineVersion": {"SelectedEngineVersion": "Athena engine version 3"},
                "ResultConfiguration": {
                    "OutputLocation": sub(f"s3://${{ResultsBucket}}/{site.names.base}/"),
                    "EncryptionConfiguration": encryption,
                    "ExpectedBucketOwner": ref("AWS::AccountId"),
                },
            },
            "Tags": tag_list(site.tags),
        },
    )


def _saved_queries(site: Site) -> dict[str, Resource]:
    table = site.contract.default_table
    return {
        f"Query{index}": resource(
            "AWS::Athena::NamedQuery",
            {
                "Name": query.name,
                "Description": query.description,
                "Database": ref("Database"),
                "WorkGroup": ref("Workgroup"),
                "QueryString": query.sql.format(table=once_name(table)),
            },
        )
        for index, query in enumerate(saved_queries_for(table.schema), 1)
    }


def _producer(site: Site) -> Resource:
    statements = [
        Statement(
            "PutEvents",
            "the one thing a producer does",
            ("firehose:PutRecord", "firehose:PutRecordBatch"),
            (get_att("DeliveryStream"),),
        )
    ]
    return role(
        site.names.role("producer"),
        "A producer: puts events, reads nothing.",
        trust_principals(site.settings.producers),
        statements,
        boundary_arn=site.settings.permissions_boundary_arn,
        tags=site.tags,
    )


def _analyst(site: Site) -> Resource:
    tables = tuple(table.name for table in site.contract.tables)
    statements = [
        Statement(
            "AskQuestions",
            "in this workgroup, whose limits and encryption are enforced",
            (
                "athena:BatchGetNamedQuery",
                "athena:BatchGetQueryExecution",
                "athena:GetNamedQuery",
                "athena:GetQueryExecution",
                "athena:GetQueryResults",
                "athena:GetQueryRuntimeStatistics",
                "athena:GetWorkGroup",
                "athena:ListNamedQueries",
                "athena:ListQueryExecutions",
                "athena:StartQueryExecution",
                "athena:StopQueryExecution",
            ),
            (arn("athena", f"workgroup/{site.names.base}"),),
        ),
        Statement(
            "BrowseTheCatalog",
            "consoles and drivers ask Athena for databases and tables",
            (
                "athena:GetDataCatalog",
                "athena:GetDatabase",
                "athena:GetTableMetadata",
                "athena:ListDatabases",
                "athena:ListTableMetadata",
            ),
            (arn("athena", "datacatalog/AwsDataCatalog"),),
        ),
        Statement(
            "ReadDefinitions",
            "Athena plans with the asker's rights: columns, partitions, views",
            (
                "glue:BatchGetPartition",
                "glue:GetDatabase",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:GetTable",
                "glue:GetTables",
            ),
            # Athena looks at the default database whatever is asked (its documentation on
            # access to databases and tables).
            (*catalog_arns(site, "*"), arn("glue", "database/default")),
        ),
        Statement(
            "ReadRows",
            "rows only: neither raw events nor manifests",
            ("s3:GetObject",),
            tuple(site.bucket_arn("transformed", f"{name}/*") for name in tables),
        ),
        Statement(
            "KeepResults",
            "Athena writes results with the asker's rights, and drivers read them from S3",
            (
                "s3:AbortMultipartUpload",
                "s3:GetObject",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ),
            (site.bucket_arn("results", f"{site.names.base}/*"),),
        ),
        Statement(
            "FindTheBuckets",
            "Athena lists the folders it reads and looks up where the buckets are",
            ("s3:GetBucketLocation", "s3:ListBucket"),
            (site.bucket_arn("transformed"), site.bucket_arn("results")),
        ),
        *site.kms_statements("s3"),
    ]
    return role(
        site.names.role("analyst"),
        "An analyst: asks, and reads rows; never the raw zone.",
        trust_principals(site.settings.analysts),
        statements,
        boundary_arn=site.settings.permissions_boundary_arn,
        tags=site.tags,
    )
