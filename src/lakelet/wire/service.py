"""What a service is to the wire: a botocore service name and handlers by operation name.

    async def get_table(request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
        return {"Table": catalog.table(request["DatabaseName"], request["Name"])}

    glue = Service("glue", {"GetTable": get_table})

`request` has been checked against botocore's model (required, types, lengths,
patterns, enums), has members in the model's spelling, blobs as `bytes`, timestamps
as aware UTC `datetime`; absent members are absent. The answer is a mapping in the
model's spelling with the same types; members that are None are left out. A raised
`LakeletError` becomes an AWS error answer by its `aws_code` and `http_status`; further
members of the error's shape are taken from its `aws_members` attribute, where it has one.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakelet.model.ports import Clock

ACCOUNT_ID = "000000000000"
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who signed the request."""

    access_key_id: str


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a handler may know besides the request's members."""

    request_id: str
    service: str
    operation: str
    clock: Clock
    region: str = DEFAULT_REGION
    account_id: str = ACCOUNT_ID
    principal: Principal | None = None  # None where signatures are not asked for
    endpoint: str = ""  # as the client spelt it: http://127.0.0.1:4566

    def arn(self, resource: str, *, service: str | None = None) -> str:
        """`arn:aws:<service>:<region>:<account>:<resource>`."""
        return f"arn:aws:{service or self.service}:{self.region}:{self.account_id}:{resource}"


Handler = Callable[[dict[str, Any], RequestContext], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Service:
    """An AWS service as far as Lakelet answers it.

    A handler returns a mapping (None for an empty answer), or a `msgspec.Struct` that
    already has the wire's names and types: that one is encoded as it stands, without
    the walk over the output shape, which is worth it only where answers are long.
    """

    name: str  # botocore's: "firehose", "glue", "athena", "s3", "cloudwatch", "logs"
    operations: Mapping[str, Handler] = field(default_factory=dict)
