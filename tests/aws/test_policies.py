"""Every statement against AWS's own service authorization reference, as cfn-lint ships it.

parliament and checkov were weighed: the first no longer imports on a current Python, the
second brings a hundred packages. The reference itself answers the questions that matter:
does the action exist, does it act on such a resource, does each resource have an action.
"""

import json
import re
from functools import cache
from importlib import resources
from typing import Any

import pytest

from lakelet.aws.deployer import POLICY_SIZE_MAX, deployer_policies
from lakelet.aws.settings import AwsSettings
from lakelet.aws.site import Site
from lakelet.aws.template import build_template
from lakelet.model.contract import Contract, Field
from tests.aws.declared import default_site, events_table
from tests.aws.test_template import EVERYTHING

# Findings that stay, and why.
ACCEPTED = {
    "glue:GetSecurityConfiguration": "knows no resources; tells how to encrypt, nothing secret",
    "cloudwatch:PutMetricData": "metrics have no ARN of their own; bound to the namespace Glue",
}
DEPLOYER_ACCEPTED = "looks and account-wide settings that know no resources"

LITERALS = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "DeliveryStream.Arn": "arn:aws:firehose:us-east-1:123456789012:deliverystream/x",
    "DeadLetters.Arn": "arn:aws:sqs:us-east-1:123456789012:x",
    "Failures.Arn": "arn:aws:sqs:us-east-1:123456789012:y",
    "KeyringSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x",
}


@cache
def reference() -> dict[str, Any]:
    text = resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    return dict(json.loads(text))


def literal(value: Any) -> str:
    if isinstance(value, dict):
        (name, inner), *_ = value.items()
        if name == "Fn::Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda found: LITERALS[found[1]], inner)
        return LITERALS[".".join(inner) if isinstance(inner, list) else inner]
    return str(value)


def acts_on(action: str, resource: str) -> bool:
    service, name = action.lower().split(":")
    known = reference()[service]
    kinds = known["Actions"][name].get("Resources", [])
    shapes = {kind.lower(): shape for kind, shape in known["Resources"].items()}
    formats = [f for kind in kinds for f in shapes[kind.lower()]["ARNFormats"]]
    return any(overlaps(one, resource) for one in formats)


def overlaps(arn_format: str, resource: str) -> bool:
    """Whether a resource with `*` may name something of this format."""
    pattern = re.sub(r"\$\{[^}]+\}", "[^:]*", arn_format)
    sample = resource.replace("*", "x")
    if ":s3:::" in arn_format and "/" not in arn_format:
        pattern = pattern.replace("[^:]*", "[^:/]*")
    return re.fullmatch(pattern, sample) is not None


def of_template(site: Site) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name}.{statement['Sid']}", statement)
        for name, made in build_template(site)["Resources"].items()
        if made["Type"] == "AWS::IAM::Role"
        for statement in made["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    ]


def secretive() -> Site:
    """A contract with pseudonyms, so that the keyring's statements are there."""
    hashed = Field("user", "string", "user", ("user",), personal="hash")
    site = default_site(EVERYTHING)
    return Site(site.pipeline, Contract(1, (events_table(hashed),)), EVERYTHING)


STATEMENTS = {
    name: statement
    for site in (default_site(), secretive())
    for name, statement in of_template(site)
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_roles_statement_says_what_the_service_knows(name: str) -> None:
    statement = STATEMENTS[name]
    found = [literal(one) for one in statement["Resource"]]
    for action in statement["Action"]:
        service, verb = action.lower().split(":")
        known = reference()[service]["Actions"]
        assert verb in known, f"{action} is no action"
        if found == ["*"]:
            assert action in ACCEPTED, f"{action} could name its resource"
        else:
            assert any(acts_on(action, one) for one in found), f"{action} acts on none of {found}"
    for one in found:
        if one != "*":
            assert any(acts_on(action, one) for action in statement["Action"]), f"idle: {one}"


def deployer_statements() -> dict[str, dict[str, Any]]:
    return {
        statement["Sid"]: statement
        for policy in deployer_policies(secretive(), "123456789012", "us-east-1")
        for statement in policy["Statement"]
    }


@pytest.mark.parametrize("sid", deployer_statements())
def test_the_deployers_statement_says_what_the_service_knows(sid: str) -> None:
    statement = deployer_statements()[sid]
    for action in statement["Action"]:
        service, verb = action.lower().split(":")
        known = reference()[service]["Actions"]
        pattern = re.compile(verb.replace("*", ".*"))
        matching = [one for one in known if pattern.fullmatch(one)]
        assert matching, f"{action} is no action"
        if statement["Resource"] != ["*"] and "*" not in action:
            assert any(acts_on(action, one) for one in statement["Resource"]), action


def test_only_what_cannot_be_bound_is_unbound_for_the_deployer() -> None:
    wide = [s for s in deployer_statements().values() if s["Resource"] == ["*"]]
    assert {one["Sid"] for one in wide} == {"Look", "Endpoints"}, DEPLOYER_ACCEPTED
    for statement in deployer_statements().values():
        assert not [action for action in statement["Action"] if action.endswith(":*")]


def test_each_policy_fits_into_a_managed_one() -> None:
    for settings in (AwsSettings(), EVERYTHING):
        for policy in deployer_policies(default_site(settings), "123456789012", "us-east-1"):
            assert len("".join(json.dumps(policy).split())) <= POLICY_SIZE_MAX
