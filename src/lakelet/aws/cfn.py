"""CloudFormation's words, as small functions over plain dicts.

Plain dicts and not troposphere or CDK: a reviewer reads the template itself, cfn-lint
knows today's properties better than a class library released last spring, and CDK needs
Node and writes wider grants than we would sign.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Resource = dict[str, Any]
Value = Any  # a literal, or one of the functions below

REASONS = "Reasons"  # the key of a role's Metadata: why each statement is there


def ref(logical_id: str) -> dict[str, str]:
    return {"Ref": logical_id}


def get_att(logical_id: str, attribute: str = "Arn") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [logical_id, attribute]}


def sub(text: str) -> dict[str, str] | str:
    """`${AWS::Region}` and `${LogicalId}` filled in by CloudFormation; plain text stays plain."""
    return {"Fn::Sub": text} if "${" in text else text


def arn(service: str, rest: str) -> dict[str, str] | str:
    """An ARN in this account and region, whatever the partition."""
    return sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}")


def bucket_arn(bucket: str, keys: str = "") -> dict[str, str] | str:
    return sub(f"arn:${{AWS::Partition}}:s3:::{bucket}{'/' + keys if keys else ''}")


def resource(
    type_name: str,
    properties: Mapping[str, Value],
    *,
    retained: bool = False,
    depends_on: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
) -> Resource:
    """One entry of `Resources`; properties that are None are left out."""
    made: Resource = {"Type": type_name}
    if metadata:
        made["Metadata"] = dict(metadata)
    if depends_on:
        made["DependsOn"] = list(depends_on)
    if retained:
        # A first creation that is rolled back leaves nothing behind; afterwards data stays.
        made["DeletionPolicy"] = "RetainExceptOnCreate"
        made["UpdateReplacePolicy"] = "Retain"
    made["Properties"] = {name: value for name, value in properties.items() if value is not None}
    return made


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


@dataclass(frozen=True, slots=True)
class Statement:
    """One grant, and why it is needed."""

    sid: str
    reason: str
    actions: tuple[str, ...]
    resources: tuple[Value, ...]
    condition: Mapping[str, Any] = field(default_factory=dict)

    def to_policy(self, effect: str = "Allow") -> dict[str, Any]:
        made: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": effect,
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        return made | ({"Condition": dict(self.condition)} if self.condition else {})


def policy_document(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [dict(one) for one in statements]}


def role(
    name: str,
    description: str,
    trust: Mapping[str, Any],
    statements: Sequence[Statement],
    *,
    boundary_arn: str = "",
    tags: Mapping[str, str],
) -> Resource:
    """A role with one inline policy: what it may do stands beside who it is."""
    return resource(
        "AWS::IAM::Role",
        {
            "RoleName": sub(name),
            "Description": description,
            "AssumeRolePolicyDocument": policy_document([trust]),
            "PermissionsBoundary": boundary_arn or None,
            "Policies": [
                {
                    "PolicyName": "lakelet",
                    "PolicyDocument": policy_document(one.to_policy() for one in statements),
                }
            ],
            "Tags": tag_list(tags),
        },
        metadata={REASONS: {one.sid: one.reason for one in statements}},
    )


def trust_service(service: str, condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    return made | ({"Condition": dict(condition)} if condition else {})


def trust_principals(principals: Sequence[str]) -> dict[str, Any]:
    """Who may take a role on; with none named, whoever this account's own IAM lets."""
    named: Value = list(principals) or sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")
    return {"Effect": "Allow", "Principal": {"AWS": named}, "Action": "sts:AssumeRole"}


def references(value: Any) -> set[str]:
    """Every logical id (and pseudo parameter) that `value` refers to."""
    found: set[str] = set()
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "Ref":
                found.add(inner)
            elif key == "Fn::GetAtt":
                found.add(inner[0] if isinstance(inner, list) else inner.split(".", 1)[0])
            elif key == "Fn::Sub":
                text, own = (inner, {}) if isinstance(inner, str) else inner
                named = {part.split("}", 1)[0].split(".", 1)[0] for part in text.split("${")[1:]}
                found |= {name for name in named if name not in own and name[:1] != "!"}
                found |= references(own)
            else:
                found |= references(inner)
    elif isinstance(value, list):
        for inner in value:
            found |= references(inner)
    return found


def subset(template: Mapping[str, Any], roots: Iterable[str]) -> dict[str, Any]:
    """The same template with only `roots` and what they need, none of it by condition:
    CloudFormation can make the scripts bucket first, then fill it, then make the rest."""
    resources: Mapping[str, Resource] = template["Resources"]
    wanted, queue = set(), list(roots)
    while queue:
        logical_id = queue.pop()
        if logical_id in wanted or logical_id not in resources:
            continue
        wanted.add(logical_id)
        queue += references(resources[logical_id].get("Properties", {}))
        queue += resources[logical_id].get("DependsOn", [])
    kept = {key: value for key, value in resources.items() if key in wanted}
    outputs = {
        key: value
        for key, value in template.get("Outputs", {}).items()
        if all(name in wanted or name.startswith("AWS::") for name in references(value))
    }
    used = references([kept, outputs])
    parameters = {key: value for key, value in template["Parameters"].items() if key in used}
    parts = {"Resources": kept, "Outputs": outputs} | (
        {"Parameters": parameters} if parameters else {}
    )
    # Conditions and mappings may name parameters that are gone; a subset that needs them
    # would need them all.
    heads = ("AWSTemplateFormatVersion", "Description")
    return {key: template[key] for key in heads if key in template} | parts


def with_names(template: Mapping[str, Any], account: str, region: str) -> dict[str, Any]:
    """The same template with bucket names written out: CloudFormation finds a resource that
    is there already (to take it in) only by a literal name, not by `Fn::Sub`."""

    def named(made: Resource) -> Resource:
        name = made["Properties"].get("BucketName")
        if made["Type"] != "AWS::S3::Bucket" or not isinstance(name, dict):
            return made
        literal = name["Fn::Sub"].replace("${AWS::AccountId}", account)
        literal = literal.replace("${AWS::Region}", region)
        return {**made, "Properties": {**made["Properties"], "BucketName": literal}}

    return {**template, "Resources": {k: named(v) for k, v in template["Resources"].items()}}


def compact(template: Mapping[str, Any]) -> str:
    """As CloudFormation is sent it: JSON, without the reasons (they are for people)."""
    resources = {
        key: {name: part for name, part in value.items() if name != "Metadata"}
        for key, value in template["Resources"].items()
    }
    return json.dumps({**template, "Resources": resources}, separators=(",", ":"))
