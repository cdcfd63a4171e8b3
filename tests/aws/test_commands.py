"""What the AWS commands print, without an AWS."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from lakelet.aws.commands import draw_status, exports, show_plan
from lakelet.aws.deploy import Plan
from lakelet.aws.looks import Account, Check
from lakelet.aws.stack import Change, Effect
from lakelet.cli.main import app
from tests.aws.declared import default_site

ACCOUNT = Account("123456789012", "eu-central-1", "arn:aws:iam::123456789012:user/me")


class Planned:
    """As much of a deployment as a plan is drawn from."""

    site = default_site()


def shown(plan: Plan) -> str:
    text = io.StringIO()
    show_plan(Console(file=text, width=160), Planned(), plan, 1_000_000)  # type: ignore[arg-type]
    return text.getvalue()


def test_a_plan_shows_checks_changes_and_the_bill() -> None:
    changes = (
        Change(Effect.REPLACED, "RawBucket", "AWS::S3::Bucket", "BucketName"),
        Change(Effect.CHANGED, "TransformFunction", "AWS::Lambda::Function", "MemorySize"),
    )
    checks = (Check("layer", None, "could not be looked at"), Check("account", True, "1 in x"))
    text = shown(Plan(ACCOUNT, checks, changes, first=False))
    assert "? layer: could not be looked at" in text
    assert "✓ account" in text
    assert "REPLACED" in text
    assert "MemorySize" in text
    assert "Glue crawler" in text
    assert "total" in text


def test_a_plan_without_changes_says_so() -> None:
    assert "Nothing to change." in shown(Plan(ACCOUNT, (), (), first=False))


def test_outputs_are_lines_for_a_shell() -> None:
    lines = exports({"DeliveryStreamName": "click stream", "RawBucketName": "b"}, "eu-central-1")
    assert lines == [
        "export AWS_REGION=eu-central-1",
        "export LAKELET_DELIVERY_STREAM_NAME='click stream'",
        "export LAKELET_RAW_BUCKET_NAME=b",
    ]


def test_a_raised_alarm_is_named() -> None:
    text = io.StringIO()
    report: dict[str, Any] = {
        "stack": "lakelet-x",
        "stream": {"name": "x", "status": "ACTIVE"},
        "transform": {"dead_letters": 2, "failures": 3},
        "alarms": {"x-dead-letters": "ALARM", "x-throttles": "OK"},
        "tables": [{"name": "events", "partitions": 4}],
    }
    draw_status(Console(file=text, width=100), report)
    assert "2 dead letters, 3 failures" in text.getvalue()
    assert "x-dead-letters" in text.getvalue()
    assert "x-throttles" not in text.getvalue()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_template_is_printed_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = run("template", "--stage", "dev", "--package", str(tmp_path / "package"))
    assert "clickstream-dev-raw-${AWS::AccountId}" in text
    with pytest.raises(yaml.constructor.ConstructorError, match="!Equals"):
        yaml.safe_load(text)  # CloudFormation's own tags: a plain reader must not misread it
    written = [path.suffix for path in (tmp_path / "package").rglob("*") if path.is_file()]
    assert sorted(written) == [".py", ".whl", ".zip"]
    assert set(json.loads(run("template", "--json"))) >= {"Resources", "Parameters"}


def test_the_deployers_policies_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--deployer-policy", "--account", "123456789012", "--region", "eu-west-1")
    policies = json.loads(run("template", *words))
    assert all(policy["Version"] == "2012-10-17" for policy in policies)
    assert "stack/lakelet-clickstream/*" in json.dumps(policies)


def test_an_unknown_profile_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    result = CliRunner().invoke(app, ["deploy", "--profile", "nobody"])
    assert "nobody" in str(result.exception)
    assert "list-profiles" in result.exception.hint  # type: ignore[union-attr]
