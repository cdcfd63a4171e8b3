"""botocore's service models, loaded when first asked for.

Loading costs 5 to 60 ms a service (its JSON is up to 1 MB), so nothing is loaded at
import: a node is ready before the first Glue call has paid for Glue's model.
"""

import threading
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, OperationNotFoundError, ServiceModel

# botocore's Shape and its kinds; their published stubs know neither members nor metadata.
Shape = Any

_lock = threading.Lock()


@cache
def _loader() -> Any:
    return Loader()


@cache
def _load(service: str) -> ServiceModel:
    return ServiceModel(_loader().load_service_model(service, "service-2"), service)


def service_model(service: str) -> ServiceModel:
    """The model of `firehose`, `s3`…; raises botocore's UnknownServiceError."""
    with _lock:
        return _load(service)


def operation_model(service: str, operation: str) -> OperationModel | None:
    """None where the service has no such operation."""
    try:
        return service_model(service).operation_model(operation)
    except OperationNotFoundError:
        return None


def target_prefix(service: str) -> str:
    """What comes before the dot in X-Amz-Target; "" for services without."""
    return str(service_model(service).metadata.get("targetPrefix", ""))


def signing_name(service: str) -> str:
    """The service's word in a credential scope: `monitoring` for CloudWatch."""
    return str(service_model(service).signing_name)
