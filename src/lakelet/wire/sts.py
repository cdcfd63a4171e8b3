"""STS, for the one question that tools ask before all others: who am I?"""

from typing import Any

from lakelet.wire.service import RequestContext, Service

USER_NAME = "lakelet"


def sts_service() -> Service:
    """A node has one principal, and issues no temporary keys."""
    return Service("sts", {"GetCallerIdentity": get_caller_identity})


async def get_caller_identity(request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    principal = context.principal
    return {
        "Account": context.account_id,
        "Arn": f"arn:aws:iam::{context.account_id}:user/{USER_NAME}",
        "UserId": principal.access_key_id if principal else "anonymous",
    }
