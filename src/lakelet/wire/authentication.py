"""Who sends a request? Read first, verified later: routing needs the claim, belief comes after."""

from datetime import datetime

from lakelet.wire import sigv2, sigv4
from lakelet.wire.http import HttpRequest
from lakelet.wire.sigv4 import Claim, CredentialStore, Verified


def read_claim(request: HttpRequest) -> Claim | None:
    """None where the request is not signed. Raises ProtocolRefusal for unreadable signatures."""
    return sigv4.read_claim(request) or sigv2.read_claim(request)


def verify(
    request: HttpRequest, claim: Claim, credentials: CredentialStore, now: datetime
) -> Verified:
    """Raises ProtocolRefusal with the reason a signature does not hold."""
    if isinstance(claim, sigv2.LegacyClaim):
        return sigv2.verify(request, claim, credentials, now)
    return sigv4.verify(request, claim, credentials, now)
