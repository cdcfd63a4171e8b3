"""What every part of the template is told: one deployment, before any account is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lakelet.aws.cfn import Statement, bucket_arn
from lakelet.aws.settings import AwsSettings, Names, read_aws
from lakelet.model.contract import Contract
from lakelet.model.layout import error_prefix_root
from lakelet.model.pipeline import Pipeline


@dataclass(frozen=True)
class Site:
    """A pipeline, its contract and the `[aws]` settings: all that the template is made from."""

    pipeline: Pipeline
    contract: Contract
    settings: AwsSettings = field(default_factory=AwsSettings)

    @cached_property
    def names(self) -> Names:
        return Names(self.pipeline, self.settings.stage)

    @cached_property
    def tags(self) -> dict[str, str]:
        own = {
            "lakelet:pipeline": self.pipeline.name,
            "lakelet:stage": self.settings.stage or "default",
        }
        return {**self.settings.tags, **own}

    @property
    def event_prefix(self) -> str:
        """The constant head of the stream's prefix: only keys under it start the function."""
        return self.pipeline.stream.prefix.split("!{", 1)[0]

    @property
    def error_root(self) -> str:
        return error_prefix_root(self.pipeline.stream.error_prefix)

    def bucket_arn(self, zone: str, keys: str = "") -> Any:
        return bucket_arn(self.names.bucket(zone), keys)

    def kms_statements(self, *services: str, writes: bool = True) -> list[Statement]:
        """The use of a customer's key, only through the services named."""
        key = self.settings.kms_key_arn
        if not key:
            return []
        via: Mapping[str, Any] = {
            "StringEquals": {
                "kms:ViaService": [
                    {"Fn::Sub": f"{service}.${{AWS::Region}}.amazonaws.com"} for service in services
                ]
            }
        }
        actions = ("kms:Decrypt", "kms:GenerateDataKey") if writes else ("kms:Decrypt",)
        return [
            Statement(
                "UseTheKey",
                f"objects are encrypted with the pipeline's key; only via {', '.join(services)}",
                actions,
                (key,),
                via,
            )
        ]


def load_site(path: Path | None, *, stage: str | None = None) -> Site:
    """What a declaration file says of the AWS home; None reads the shipped default.

    Args:
        stage: in place of the file's own.
    Raises:
        DeclarationError.
    """
    from lakelet.contract.declare import load_declaration  # its SQL parser takes a while

    declared = load_declaration(path)
    settings = read_aws(declared.sections["aws"])
    if stage is not None:
        settings = replace(settings, stage=stage)
    return Site(declared.pipeline, declared.contract, settings)
