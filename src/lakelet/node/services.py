"""The AWS services a node answers, each thin over its room; and its two web applications."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakelet.collector import Put, create_app
from lakelet.node.tables import crawl_by_name
from lakelet.wire.service import Service

if TYPE_CHECKING:
    from lakelet.node.doors import Application
    from lakelet.node.ingestion import Ingestion
    from lakelet.node.runtime import Node


def aws_services(node: "Node") -> dict[str, Service]:
    """By botocore's name."""
    from lakelet.lake.lifecycle import rules
    from lakelet.wire.athena import athena_service
    from lakelet.wire.cloudwatch import cloudwatch_service
    from lakelet.wire.firehose import firehose_service
    from lakelet.wire.glue import glue_service
    from lakelet.wire.logs import logs_service
    from lakelet.wire.s3 import s3_service
    from lakelet.wire.s3.expiration import expiration_by
    from lakelet.wire.sts import sts_service

    def crawl(name: str) -> None:
        crawl_by_name(node.catalog, node.store, name, node.clock)

    services = (
        firehose_service(node.ingestion),
        s3_service(node.store, expiration=expiration_by(rules(node.pipeline))),
        glue_service(node.catalog, crawl),
        athena_service(node.engine, node.catalog, node.queries.submit),
        cloudwatch_service(node.watch),
        logs_service(node.watch.logs),
        sts_service(),
    )
    return {service.name: service for service in services}


def make_collector(node: "Node") -> "Application":
    return create_app(_Sink(node.ingestion), node.collector_settings, node.clock)


class _Sink:
    """Ingestion as the collector asks for it."""

    def __init__(self, ingestion: "Ingestion") -> None:
        self._ingestion = ingestion

    async def put(self, stream: str, records: Sequence[bytes]) -> Sequence[Put]:
        result = await self._ingestion.put(stream, records)
        puts = [Put(record_id=record_id or "") for record_id in result.record_ids()]
        for index, refusal in result.refused.items():
            puts[index] = Put(error_code=refusal.code, error_message=refusal.message)
        return puts
