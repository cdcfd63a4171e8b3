"""The declaration as the package carries it: JSON, so that neither the function nor a
Spark worker needs TOML's schema or the SQL parser.

    {"format": 1, "pipeline": {…}, "contract": {…}}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import Any

from lakelet.aws.environment import DECLARATION_FILE
from lakelet.model.contract import Contract
from lakelet.model.errors import DeclarationError
from lakelet.model.pipeline import (
    CrawlerSettings,
    Pipeline,
    RetentionSettings,
    StreamSettings,
    WorkgroupSettings,
)

FORMAT = 1

_SECTIONS: dict[str, type[Any]] = {
    "stream": StreamSettings,
    "retention": RetentionSettings,
    "crawler": CrawlerSettings,
    "workgroup": WorkgroupSettings,
}


@dataclass(frozen=True, slots=True)
class Declared:
    """What the function and the job are told of the pipeline."""

    pipeline: Pipeline
    contract: Contract

    def encode(self) -> bytes:
        """Deterministic: the same declaration gives the same package."""
        values = {
            "format": FORMAT,
            "pipeline": asdict(self.pipeline),
            "contract": json.loads(self.contract.to_json()),
        }
        return json.dumps(values, sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Declared":
        """Raises DeclarationError."""
        try:
            values = json.loads(data)
            if values["format"] != FORMAT:
                raise ValueError(f"format {values['format']} is not {FORMAT}")
            pipeline = _pipeline(values["pipeline"])
            contract = Contract.from_json(json.dumps(values["contract"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DeclarationError(
                f"{DECLARATION_FILE} in the package is not this version's: {error!r}",
                hint="Deploy again: lakelet deploy",
            ) from error
        return cls(pipeline, contract)

    def deployed(self, base_name: str, bucket_suffix: str) -> "Declared":
        """As the deployment calls it: the name with its stage, the buckets with theirs."""
        name = base_name or self.pipeline.name
        pipeline = replace(self.pipeline, name=name, bucket_suffix=bucket_suffix)
        return Declared(pipeline, self.contract)


def _pipeline(values: Mapping[str, Any]) -> Pipeline:
    sections = {name: kind(**values[name]) for name, kind in _SECTIONS.items()}
    return Pipeline(**{**values, **sections})


def packaged() -> Declared:
    """The declaration that was deployed with this code. Raises DeclarationError."""
    file = resources.files("lakelet.aws").joinpath(DECLARATION_FILE)
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise DeclarationError(
            f"the package holds no {DECLARATION_FILE}",
            hint="`lakelet deploy` puts it in; a bare wheel has none.",
        ) from error
    return Declared.decode(data)
