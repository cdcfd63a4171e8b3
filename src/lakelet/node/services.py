"""The AWS services a node answers, each thin over its room; and its two web applications."""

from typing import TYPE_CHECKING

from lakelet.wire.service import Service

if TYPE_CHECKING:
    from lakelet.node.doors import Application
    from lakelet.node.runtime import Node


def aws_services(node: "Node") -> dict[str, Service]:
    """By botocore's name."""
    from lakelet.wire.athena import athena_service
    from lakelet.wire.cloudwatch import cloudwatch_service
    from lakelet.wire.firehose import firehose_service
    from lakelet.wire.glue import glue_service
    from lakelet.wire.logs import logs_service
    from lakelet.wire.s3 import s3_service

    services = (
        firehose_service(node.ingestion),
        s3_service(node.store),
        glue_service(node.catalog, node.run_crawler),
        athena_service(node.engine, node.catalog, node.queries.submit),
        cloudwatch_service(node.watch),
        logs_service(node.watch.logs),
    )
    return {service.name: service for service in services}


def make_collector(node: "Node") -> "Application":
    raise NotImplementedError


def make_console(node: "Node", token: str) -> "Application":
    from lakelet.console.door import ConsoleDoor

    return ConsoleDoor(node, token)
