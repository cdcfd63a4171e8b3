"""The services a node answers for, found by the words that requests use for them."""

from collections.abc import Iterator, Mapping

from botocore.model import OperationModel

from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.models import operation_model, signing_name, target_prefix
from lakelet.wire.service import Handler, Service


class Registry:
    """Services by name, target prefix or signing name; models are loaded as looked for."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = {service.name: service for service in services.values()}
        self._by_prefix: dict[str, Service] = {}
        self._by_signing_name: dict[str, Service] = {}

    def get(self, name: str) -> Service | None:
        return self._services.get(name)

    def by_target_prefix(self, prefix: str, likely: str = "") -> Service:
        """`likely` is looked at first: the signature's word spares loading other models.

        Raises ProtocolRefusal (UNKNOWN_OPERATION).
        """
        if found := self._by_prefix.get(prefix):
            return found
        for service in self._likely_first(likely):
            if target_prefix(service.name) == prefix:
                self._by_prefix[prefix] = service
                return service
        raise ProtocolRefusal(
            Refusal.UNKNOWN_OPERATION,
            f"No service here is called {prefix!r}; there is {self._names()}.",
        )

    def by_signing_name(self, name: str) -> Service:
        """Raises ProtocolRefusal (UNKNOWN_OPERATION)."""
        if found := self._by_signing_name.get(name):
            return found
        for service in self._likely_first(name):
            if signing_name(service.name) == name:
                self._by_signing_name[name] = service
                return service
        raise ProtocolRefusal(
            Refusal.UNKNOWN_OPERATION,
            f"No service here is signed for as {name!r}; there is {self._names()}.",
        )

    def with_operation(self, operation: str) -> Service:
        """For unsigned query requests, which name no service: the one that has the operation."""
        for service in self._services.values():
            if operation in service.operations:
                return service
        raise ProtocolRefusal(Refusal.UNKNOWN_OPERATION, f"Unknown operation {operation!r}.")

    def _likely_first(self, name: str) -> Iterator[Service]:
        likely = self._services.get(name)
        if likely:
            yield likely
        yield from (service for service in self._services.values() if service is not likely)

    def _names(self) -> str:
        return ", ".join(sorted(self._services)) or "none"


def operation_of(service: Service, name: str) -> OperationModel:
    """Raises ProtocolRefusal where AWS, or Lakelet, has no such operation."""
    model = operation_model(service.name, name)
    if model is None:
        raise ProtocolRefusal(
            Refusal.UNKNOWN_OPERATION, f"{service.name} has no operation {name!r}."
        )
    return model


def handler_of(service: Service, name: str) -> Handler:
    """Raises ProtocolRefusal for an operation that AWS has and Lakelet has not."""
    handler = service.operations.get(name)
    if handler is None:
        raise ProtocolRefusal(
            Refusal.NOT_IMPLEMENTED,
            f"{name} of {service.name} is not among the operations that Lakelet answers.",
        )
    return handler
