"""The quick way says yes to what SDKs sign, and never where `verify` says no."""

import hashlib
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.wire.errors import ProtocolRefusal
from lakelet.wire.http import HttpRequest
from lakelet.wire.sigv4 import read_claim, verify
from lakelet.wire.sigv4_usual import holds
from tests.wire.test_sigv4 import KEYS, TARGET, nothing, sign

# What SDKs of other languages sign too.
BODY = b'{"a": 1}'
MORE = {
    "x-amz-content-sha256": hashlib.sha256(BODY).hexdigest(),
    "amz-sdk-invocation-id": "f3e1",
    "x-amz-user-agent": "aws-sdk-js/3.0",
    "content-length": "2",
    "accept-encoding": "gzip,   deflate",
    "x-odd": " caf\xe9 \xa0 ol\xe9 ",
}


def usual(request: HttpRequest, now: datetime, *, service: str = "firehose") -> bool:
    headers = {name.encode(): value.encode("latin-1") for name, value in request.headers.items()}
    payload_sha256 = hashlib.sha256(request.body).hexdigest().encode()
    return holds(headers, payload_sha256, KEYS, service, now)


def is_verified(request: HttpRequest, now: datetime) -> bool:
    try:
        claim = read_claim(request)
        if claim is None or claim.scope.service != "firehose":
            return False
        verify(request, claim, KEYS, now)
    except ProtocolRefusal:
        return False
    return True


def signed_at(request: HttpRequest) -> datetime:
    claim = read_claim(request)
    assert claim is not None
    return claim.signed_at


@pytest.mark.parametrize("more", [{}, *({name: value} for name, value in MORE.items()), MORE])
def test_what_is_signed_holds(more: dict[str, str]) -> None:
    request = sign(headers={**TARGET, **more}, body=BODY)
    now = signed_at(request)
    assert is_verified(request, now)
    assert usual(request, now)
    for minutes, is_in_time in ((-15, True), (15, True), (-15.1, False), (15.1, False)):
        then = now + timedelta(minutes=minutes)
        assert usual(request, then) is is_in_time is is_verified(request, then)


def test_another_service_or_key_does_not() -> None:
    now = signed_at(request := sign(headers=TARGET))
    assert not usual(request, now, service="glue")
    request.headers["authorization"] = request.headers["authorization"].replace("AKIA", "AKIB")
    assert not usual(request, now)


def test_an_unsigned_header_that_decides_something_does_not() -> None:
    request = sign(headers=TARGET)
    request.headers["x-amz-acl"] = "public-read"
    assert not usual(request, signed_at(request))


NAMES = ["authorization", "host", "x-amz-date", "x-amz-target", "content-type", "x-odd", "x-amz-b"]


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_it_never_says_yes_alone(data: st.DataObject) -> None:
    request = sign(headers={**TARGET, "x-odd": "a  b"}, body=BODY)
    now = signed_at(request)
    for _ in range(data.draw(st.integers(0, 3))):
        name = data.draw(st.sampled_from(NAMES))
        value = request.headers.get(name, "")
        at = data.draw(st.integers(0, len(value)))
        piece = data.draw(
            st.one_of(
                st.sampled_from(["", " ", "\t", ",", ";", "%", "%b", "Signature=", "\xa0", "\x1c"]),
                st.text(st.characters(max_codepoint=255), max_size=3),
            )
        )
        cut = data.draw(st.integers(0, 2))
        request.headers[name] = value[:at] + piece + value[at + cut :]
    if data.draw(st.booleans()):
        request.body = data.draw(st.sampled_from([b"", b'{"a": 2}', BODY]))
    copy = HttpRequest("POST", "/", "", dict(request.headers), nothing, body=request.body)
    if usual(copy, now):
        assert is_verified(copy, now)
