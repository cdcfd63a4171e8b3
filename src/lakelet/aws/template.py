"""One CloudFormation template for a whole pipeline, made from its declaration.

    site = Site(declaration.pipeline, declaration.contract, settings)
    print(render(build_template(site)))

The rooms of the template follow the event's road: storage, stream, function, catalog,
job, people, watch. Nothing here talks to AWS.
"""

from collections.abc import Mapping
from typing import Any

from lakelet.aws import template_function, template_job
from lakelet.aws.cfn import REASONS, get_att, ref
from lakelet.aws.site import Site
from lakelet.aws.template_catalog import catalog
from lakelet.aws.template_dashboard import dashboard
from lakelet.aws.template_network import network
from lakelet.aws.template_people import people
from lakelet.aws.template_storage import storage
from lakelet.aws.template_stream import stream
from lakelet.aws.template_watch import watch

FORMAT_VERSION = "2010-09-09"
# What the first deployment makes before the rest, to have somewhere to put the code.
FOUNDATION = ("ScriptsBucket", "ScriptsBucketPolicy")


def build_template(site: Site) -> dict[str, Any]:
    """The whole template as CloudFormation's JSON has it.

    Raises:
        DeclarationError: for settings that cannot be meant together.
    """
    resources = {
        **storage(site),
        **stream(site),
        **template_function.function(site),
        **catalog(site),
        **template_job.job(site),
        **people(site),
        **watch(site),
        **dashboard(site),
        **network(site),
    }
    return {
        "AWSTemplateFormatVersion": FORMAT_VERSION,
        "Description": f"Lakelet pipeline {site.names.base}: events in by Firehose, "
        "Parquet in S3, SQL by Athena.",
        "Parameters": template_function.parameters(site) | template_job.parameters(),
        "Mappings": template_function.mappings(),
        "Conditions": template_function.conditions(),
        "Resources": resources,
        "Outputs": _outputs(site),
    }


def _outputs(site: Site) -> dict[str, Any]:
    def output(value: Any, description: str) -> dict[str, Any]:
        return {"Value": value, "Description": description}

    made = {
        "DeliveryStreamName": output(ref("DeliveryStream"), "Producers put here"),
        "RawBucketName": output(ref("RawBucket"), "Raw events and quarantine"),
        "TransformedBucketName": output(ref("TransformedBucket"), "Rows and manifests"),
        "ResultsBucketName": output(ref("ResultsBucket"), "Results of queries"),
        "ScriptsBucketName": output(ref("ScriptsBucket"), "Code"),
        "DatabaseName": output(ref("Database"), "Analysts ask here"),
        "WorkgroupName": output(ref("Workgroup"), "Analysts ask through this"),
        "FunctionName": output(ref("TransformFunction"), "Raw objects to rows"),
        "JobName": output(ref("Job"), "The same in bulk"),
        "DeadLettersUrl": output(ref("DeadLetters"), "Raw objects given up, to send again"),
        "FailuresUrl": output(ref("Failures"), "The same, with reasons"),
        "ProducerRoleArn": output(get_att("ProducerRole"), "For who puts events"),
        "AnalystRoleArn": output(get_att("AnalystRole"), "For who asks"),
    }
    if site.settings.partitions == "crawler":
        made["CrawlerName"] = output(ref("Crawler"), "Finds partitions")
    return made


def render(template: Mapping[str, Any]) -> str:
    """YAML for people: short tags (`!Sub`), and each statement's reason as a comment on it."""
    import yaml  # only whoever prints a template waits for it

    class Dumper(yaml.SafeDumper):
        """Indents lists under their key, as AWS's own examples do; knows no anchors."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
            super().increase_indent(flow, False)

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    def represent_mapping(dumper: yaml.SafeDumper, data: dict[str, Any]) -> yaml.Node:
        if len(data) == 1:
            (name, value), *_ = data.items()
            if name == "Ref":
                return dumper.represent_scalar("!Ref", value)
            if name == "Fn::GetAtt":
                return dumper.represent_scalar("!GetAtt", ".".join(value))
            if name.startswith("Fn::") and isinstance(value, str):
                return dumper.represent_scalar(f"!{name[4:]}", value)
            if name.startswith("Fn::") and isinstance(value, list):
                return dumper.represent_sequence(f"!{name[4:]}", value, flow_style=False)
        return dumper.represent_dict(data.items())

    Dumper.add_representer(dict, represent_mapping)
    reasons, shown = _without_reasons(template)
    text = yaml.dump(shown, Dumper=Dumper, sort_keys=False, width=100, allow_unicode=True)
    return _comment(text, reasons)


def _without_reasons(
    template: Mapping[str, Any],
) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    reasons, resources = {}, {}
    for logical_id, made in template["Resources"].items():
        metadata = made.get("Metadata", {})
        if REASONS in metadata:
            reasons[logical_id] = metadata[REASONS]
            made = {key: value for key, value in made.items() if key != "Metadata"}
        resources[logical_id] = made
    return reasons, {**template, "Resources": resources}


def _comment(text: str, reasons: Mapping[str, Mapping[str, str]]) -> str:
    """Set each statement's reason above its `- Sid:` line."""
    lines, logical_id = [], ""
    for line in text.splitlines():
        if line.startswith("  ") and line[2:3].isalpha() and line.endswith(":"):
            logical_id = line.strip(" :")
        stripped = line.strip()
        if stripped.startswith("- Sid: "):
            reason = reasons.get(logical_id, {}).get(stripped.removeprefix("- Sid: "))
            if reason:
                lines.append(f"{line[: len(line) - len(line.lstrip())]}# {reason}")
        lines.append(line)
    return "\n".join(lines) + "\n"
