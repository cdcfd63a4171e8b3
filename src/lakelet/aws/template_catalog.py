"""The catalog: a table as the contract has it, and who finds its partitions."""

import base64
import json
import re
from typing import Any

from lakelet.aws.cfn import (
    Resource,
    Statement,
    arn,
    get_att,
    ref,
    resource,
    role,
    sub,
    trust_service,
)
from lakelet.aws.queries import View, once_name, once_view, views_for
from lakelet.aws.site import Site
from lakelet.model.contract import TableContract
from lakelet.model.errors import DeclarationError
from lakelet.model.schema import glue_type

_PARQUET_FORMATS = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "Parameters": {"serialization.format": "1"},
    },
}
PROJECTED_YEARS = "2020,2050"
CRAWL_INTERVAL_MINUTES_LEAST = 5  # Glue's schedules go no finer


def catalog(site: Site) -> dict[str, Resource]:
    made: dict[str, Resource] = {
        "Database": resource(
            "AWS::Glue::Database",
            {
                "CatalogId": ref("AWS::AccountId"),
                "DatabaseInput": {
                    "Name": site.names.database,
                    "Description": f"The pipeline {site.names.base}: tables by its contract.",
                },
            },
        )
    }
    for table in site.contract.tables:
        made[table_id(table)] = _table(site, table)
        if once := once_view(table):
            made[_view_id(once.name)] = _view(site, once, table.name, table_id(table))
    default = site.contract.default_table
    source = once_name(default)
    source_id = _view_id(source) if default.deduplicate else table_id(default)
    for view in views_for(default.schema):
        made[_view_id(view.name)] = _view(site, view, source, source_id)
    if site.settings.glue_encryption:
        made["GlueEncryption"] = _security_configuration(site)
    if site.settings.partitions == "crawler":
        made["CrawlerRole"] = _crawler_role(site)
        made["Crawler"] = _crawler(site)
    return made


def table_id(table: TableContract) -> str:
    return f"Table{_camel(table.name)}"


def _view_id(name: str) -> str:
    return f"View{_camel(name)}"


def security_configuration(site: Site) -> dict[str, str] | None:
    return ref("GlueEncryption") if site.settings.glue_encryption else None


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^a-zA-Z0-9]+", name))


def _table(site: Site, table: TableContract) -> Resource:
    location = f"s3://{site.names.bucket('transformed')}/{table.name}/"
    parameters: dict[str, Any] = {
        "EXTERNAL": "TRUE",
        "classification": "parquet",
        "parquet.compression": "SNAPPY",
        "lakelet.contract.version": str(site.contract.version),
    }
    if site.settings.partitions == "projection":
        parameters |= _projection(location)
    return resource(
        "AWS::Glue::Table",
        {
            "CatalogId": ref("AWS::AccountId"),
            "DatabaseName": ref("Database"),
            "TableInput": {
                "Name": table.name,
                "Description": "Columns are the contract's: change lakelet.toml, then deploy.",
                "TableType": "EXTERNAL_TABLE",
                "Parameters": parameters,
                "PartitionKeys": [{"Name": k, "Type": "string"} for k in table.partition_keys],
                "StorageDescriptor": {
                    "Columns": [
                        {"Name": column.name, "Type": glue_type(column.type)}
                        for column in table.schema
                    ],
                    "Location": sub(location),
                    **_PARQUET_FORMATS,
                },
            },
        },
    )


def _projection(location: str) -> dict[str, Any]:
    """Partitions by rule: a new day is there at once, and nobody needs to crawl."""
    # `${year}` is Athena's to fill in; `${!` keeps CloudFormation from trying.
    template = location + "year=${!year}/month=${!month}/day=${!day}/"
    return {
        "projection.enabled": "true",
        "projection.year.type": "integer",
        "projection.year.range": PROJECTED_YEARS,
        "projection.year.digits": "4",
        "projection.month.type": "integer",
        "projection.month.range": "1,12",
        "projection.month.digits": "2",
        "projection.day.type": "integer",
        "projection.day.range": "1,31",
        "projection.day.digits": "2",
        "storage.location.template": sub(template),
    }


_PRESTO_TYPES = {"string": "varchar", "timestamp": "timestamp(3)", "int": "integer"}


def presto_type(hive: str) -> str:
    """The catalog's type as Athena's engine writes it: `map<string,int>` is
    `map(varchar,integer)`."""
    words = re.sub(r"[a-z]+", lambda found: _PRESTO_TYPES.get(found[0], found[0]), hive)
    return words.replace("<", "(").replace(">", ")")


def _view(site: Site, view: View, source: str, source_id: str) -> Resource:
    """A view as Athena keeps one: the SQL, coded, in the text of a catalog table.

    `source`: the table or view it reads; `source_id`: that one's logical id.
    """
    described = {
        "originalSql": view.sql.format(table=f"{site.names.database}.{source}"),
        "catalog": "awsdatacatalog",
        "schema": site.names.database,
        "columns": [{"name": name, "type": presto_type(kind)} for name, kind in view.columns],
    }
    coded = base64.b64encode(json.dumps(described).encode()).decode()
    return resource(
        "AWS::Glue::Table",
        {
            "CatalogId": ref("AWS::AccountId"),
            "DatabaseName": ref("Database"),
            "TableInput": {
                "Name": view.name,
                "Description": view.description,
                "TableType": "VIRTUAL_VIEW",
                "Parameters": {"presto_view": "true", "comment": "Presto View"},
                "ViewOriginalText": f"/* Presto View: {coded} */",
                "ViewExpandedText": "/* Presto View */",
                "PartitionKeys": [],
                "StorageDescriptor": {
                    "Columns": [{"Name": name, "Type": kind} for name, kind in view.columns],
                    "SerdeInfo": {},
                },
            },
        },
        depends_on=(source_id,),
        metadata={"Sql": described["originalSql"]},
    )


def _security_configuration(site: Site) -> Resource:
    key = site.settings.kms_key_arn
    s3: dict[str, Any] = {"S3EncryptionMode": "SSE-S3"}
    logs: dict[str, Any] = {"CloudWatchEncryptionMode": "DISABLED"}
    if key:
        s3 = {"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": key}
        logs = {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": key}
    return resource(
        "AWS::Glue::SecurityConfiguration",
        {
            "Name": site.names.base,
            "EncryptionConfiguration": {
                "S3Encryptions": [s3],
                "CloudWatchEncryption": logs,
                # The job keeps no bookmark: the manifests say what is done.
                "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "DISABLED"},
            },
        },
    )


def _crawler(site: Site) -> Resource:
    configuration = {
        "Version": 1.0,
        "CrawlerOutput": {
            "Tables": {"AddOrUpdateBehavior": "MergeNewColumns"},
            "Partitions": {"AddOrUpdateBehavior": "InheritFromTable"},
        },
        "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"},
    }
    return resource(
        "AWS::Glue::Crawler",
        {
            "Name": site.names.base,
            "Description": "Finds new partitions. The columns are the contract's, not its own.",
            "Role": get_att("CrawlerRole"),
            # Catalog targets, not a path: the crawler may then add to the contract's tables,
            # but make none of its own beside them.
            "Targets": {
                "CatalogTargets": [
                    {
                        "DatabaseName": ref("Database"),
                        "Tables": [ref(table_id(table)) for table in site.contract.tables],
                    }
                ]
            },
            # LOG on both: a schema it guesses from files never replaces the declared one.
            "SchemaChangePolicy": {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"},
            "Configuration": json.dumps(configuration),
            "Schedule": {"ScheduleExpression": crawler_schedule(site.pipeline.crawler.schedule)},
            "CrawlerSecurityConfiguration": security_configuration(site),
            "Tags": site.tags,
        },
    )


def crawler_schedule(expression: str) -> str:
    """`rate(1 hour)` as the cron expression that Glue asks for; cron(…) as it is.

    Raises:
        DeclarationError: for a rate that no cron expression tells.
    """
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if expression.startswith("cron("):
        return expression
    count, unit = (int(found[1]), found[2]) if found else (0, "")
    if unit == "minute" and CRAWL_INTERVAL_MINUTES_LEAST <= count < 60 and 60 % count == 0:
        return f"cron(0/{count} * * * ? *)"
    if unit == "hour" and 1 <= count < 24 and 24 % count == 0:
        return f"cron(0 0/{count} * * ? *)"
    if unit == "day" and count == 1:
        return "cron(0 0 * * ? *)"
    raise DeclarationError(
        f"crawler.schedule: {expression} is no schedule of a Glue crawler.",
        hint="Write rate(5, 10, 15, 20 or 30 minutes), rate(1, 2, 3, 4, 6, 8 or 12 hours), "
        "rate(1 day), or cron(minute hour day month weekday year).",
    )


def catalog_arns(site: Site, *tables: str) -> tuple[Any, ...]:
    """Glue asks for the catalog and the database too, whatever is read of a table."""
    database = site.names.database
    return (
        arn("glue", "catalog"),
        arn("glue", f"database/{database}"),
        *(arn("glue", f"table/{database}/{table}") for table in tables),
    )


def _crawler_role(site: Site) -> Resource:
    tables = tuple(table.name for table in site.contract.tables)
    statements = [
        Statement(
            "ReadRows",
            "it opens a few Parquet files a folder; manifests are not its business",
            ("s3:GetObject",),
            tuple(site.bucket_arn("transformed", f"{name}/*") for name in tables),
        ),
        Statement(
            "FindFolders",
            "a new folder is a new partition",
            ("s3:ListBucket", "s3:GetBucketLocation"),
            (site.bucket_arn("transformed"),),
        ),
        Statement(
            "ReadTheTables",
            "the declared tables are its targets",
            ("glue:GetDatabase", "glue:GetTable", "glue:GetTables"),
            catalog_arns(site, *tables),
        ),
        Statement(
            "AddPartitions",
            "its whole purpose; UpdateTable only for the statistics that it leaves there",
            (
                "glue:BatchCreatePartition",
                "glue:BatchGetPartition",
                "glue:CreatePartition",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:UpdatePartition",
                "glue:UpdateTable",
            ),
            catalog_arns(site, *tables),
        ),
        *glue_common(site, "crawlers"),
    ]
    return role(
        site.names.role("crawler"),
        "The crawler: reads rows, adds partitions.",
        trust_service("glue.amazonaws.com", OUR_ACCOUNT_ONLY),
        statements,
        boundary_arn=site.settings.permissions_boundary_arn,
        tags=site.tags,
    )


OUR_ACCOUNT_ONLY = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}


def glue_common(site: Site, kind: str) -> list[Statement]:
    """What every actor of Glue needs: its log and its security configuration. `kind`:
    crawlers or jobs."""
    statements = [
        Statement(
            f"Log{kind.capitalize()}",
            "Glue makes these groups itself, named by the kind of work",
            ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
            (arn("logs", f"log-group:/aws-glue/{kind}*"),),
        )
    ]
    if site.settings.glue_encryption:
        statements.append(
            Statement(
                "ReadSecurityConfiguration",
                "Glue looks up how to encrypt; the action knows no resources",
                ("glue:GetSecurityConfiguration",),
                ("*",),
            )
        )
    return statements + site.kms_statements("s3", "logs")
