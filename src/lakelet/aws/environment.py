"""What function and job are told of their surroundings, and the declaration they carry.

The package brings the declaration (the pipeline's values and the compiled contract); the
variables bring what only the deployment knows.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import resources
from typing import Any, Final

from lakelet.model.contract import Contract
from lakelet.model.pipeline import (
    CrawlerSettings,
    Pipeline,
    RetentionSettings,
    StreamSettings,
    WorkgroupSettings,
)

# The name with its stage: it makes the bucket names, and is the metrics' `Pipeline`.
PIPELINE: Final = "LAKELET_PIPELINE"
BUCKET_SUFFIX: Final = "LAKELET_BUCKET_SUFFIX"  # `-<account>-<region>`
KEYRING_SECRET: Final = "LAKELET_KEYRING_SECRET_ARN"  # noqa: S105 - a name; absent without hashes
DECLARATION_FILE: Final = "declaration.json"  # beside this module, in the package

HANDLER: Final = "lakelet.aws.handler.handler"
JOB_SCRIPT_MODULE: Final = "lakelet.aws.glue_job"


def encode_declaration(pipeline: Pipeline, contract: Contract) -> bytes:
    """Deterministic JSON: the same declaration is the same package."""
    values = {"pipeline": asdict(pipeline), "contract": json.loads(contract.to_json())}
    return json.dumps(values, sort_keys=True, indent=1).encode()


def decode_declaration(data: bytes) -> tuple[Pipeline, Contract]:
    """Raises ValueError, KeyError or TypeError where `data` is no declaration."""
    values = json.loads(data)
    parts: dict[str, Any] = values["pipeline"]
    pipeline = replace(
        Pipeline(**parts),
        stream=StreamSettings(**parts["stream"]),
        retention=RetentionSettings(**parts["retention"]),
        crawler=CrawlerSettings(**parts["crawler"]),
        workgroup=WorkgroupSettings(**parts["workgroup"]),
    )
    return pipeline, Contract.from_json(json.dumps(values["contract"]))


def packaged_declaration(variables: Mapping[str, str]) -> tuple[Pipeline, Contract]:
    """The declaration of this package, named as `variables` (the environment) say."""
    data = resources.files("lakelet.aws").joinpath(DECLARATION_FILE).read_bytes()
    pipeline, contract = decode_declaration(data)
    named = replace(
        pipeline,
        name=variables.get(PIPELINE, pipeline.name),
        bucket_suffix=variables.get(BUCKET_SUFFIX, pipeline.bucket_suffix),
    )
    return named, contract
