"""The architecture's picture, drawn from the template: who starts, reads and writes what.

Arrows are the template's own facts (notifications, destinations, the statements of each
role), so that picture and deployment cannot part. Mermaid: it is text, and shown in place
by most readers of Markdown.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lakelet.aws.cfn import Resource, references
from lakelet.aws.template_storage import ZONES, bucket_id

# What is drawn, by type, and how. Everything else (policies, logs, alarms) serves these.
SHAPES: dict[str, tuple[str, str]] = {
    "AWS::KinesisFirehose::DeliveryStream": ("[/", "/]"),
    "AWS::S3::Bucket": ("[(", ")]"),
    "AWS::Lambda::Function": ("[[", "]]"),
    "AWS::SQS::Queue": ("[/", "\\]"),
    "AWS::Glue::Database": ("[(", ")]"),
    "AWS::Glue::Crawler": ("[[", "]]"),
    "AWS::Glue::Job": ("[[", "]]"),
    "AWS::Athena::WorkGroup": ("[/", "/]"),
}
PEOPLE = {"ProducerRole": "Producer", "AnalystRole": "Analyst"}
_WRITES = ("Put", "Send", "Create", "Update", "BatchCreate")
_READS = ("GetObject", "GetTable", "GetPartitions")
_STARTS = ("StartQueryExecution",)

Edge = tuple[str, str, str]  # from, label, to


def diagram(template: Mapping[str, Any]) -> str:
    """A Mermaid flowchart, always the same for the same template."""
    resources: Mapping[str, Resource] = template["Resources"]
    nodes = {key: made for key, made in resources.items() if made["Type"] in SHAPES}
    lines = ["flowchart LR"]
    lines += [f"  {role}(({name}))" for role, name in PEOPLE.items() if role in resources]
    for key, made in nodes.items():
        opening, closing = SHAPES[made["Type"]]
        service = made["Type"].split("::")[1].replace("KinesisFirehose", "Firehose")
        lines.append(f'  {key}{opening}"{service}<br/>{_title(key)}"{closing}')
    for start, label, end in _merged(_edges(resources, nodes)):
        lines.append(f"  {start} -->|{label}| {end}")
    return "\n".join(lines) + "\n"


def _title(logical_id: str) -> str:
    spaced = "".join(f" {c.lower()}" if c.isupper() else c for c in logical_id).strip()
    return spaced.removesuffix(" bucket")


def _edges(resources: Mapping[str, Resource], nodes: Mapping[str, Resource]) -> Iterator[Edge]:
    for key, made in nodes.items():
        properties = made["Properties"]
        yield from _started_by(key, properties)
        # A destination named outright: the function's queues, the workgroup's results.
        if made["Type"] == "AWS::Athena::WorkGroup":
            for target in sorted(references(properties["WorkGroupConfiguration"]) & set(nodes)):
                yield (key, "writes", target)
    for role_id, actor in _actors(resources, nodes).items():
        for statement in _statements(resources[role_id]):
            for target in _targets(statement, nodes):
                yield from _by_rights(actor, statement, target)


def _started_by(key: str, properties: Mapping[str, Any]) -> Iterator[Edge]:
    notified = properties.get("NotificationConfiguration", {}).get("LambdaConfigurations", [])
    for one in notified:
        for target in references(one["Function"]):
            yield (key, "starts", target)


def _actors(resources: Mapping[str, Resource], nodes: Mapping[str, Resource]) -> dict[str, str]:
    """Role → who wears it."""
    worn = {
        role: key
        for key, made in nodes.items()
        for role in sorted(references(made["Properties"]))
        if resources.get(role, {}).get("Type") == "AWS::IAM::Role"
    }
    return worn | {role: role for role in PEOPLE if role in resources}


def _statements(role: Resource) -> list[Mapping[str, Any]]:
    return list(role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"])


def _targets(statement: Mapping[str, Any], nodes: Mapping[str, Resource]) -> list[str]:
    found: list[str] = []
    for resource in statement["Resource"]:
        text = json.dumps(resource)
        named = [key for key in references(resource) if key in nodes]
        named += [bucket_id(zone) for zone in ZONES if f"-{zone}-${{AWS::AccountId}}" in text]
        if ":table/" in text:
            named.append("Database")
        if ":workgroup/" in text:
            named.append("Workgroup")
        found += [name for name in named if name not in found]
    return found


def _by_rights(actor: str, statement: Mapping[str, Any], target: str) -> Iterator[Edge]:
    verbs = [action.split(":")[1] for action in statement["Action"]]
    if any(verb.startswith(_STARTS) for verb in verbs):
        yield (actor, "asks", target)
    elif any(verb.startswith(_WRITES) for verb in verbs):
        yield (actor, "writes", target)
    elif any(verb in _READS for verb in verbs):
        yield (target, "read by", actor)


def _merged(edges: Iterator[Edge]) -> list[Edge]:
    """Each once, in the order found."""
    return list(dict.fromkeys(edges))
