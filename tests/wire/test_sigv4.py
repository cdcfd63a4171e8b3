"""Signatures: botocore signs, we verify; then everything that must not pass."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.wire.credentials import Credentials
from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.http import HttpRequest
from lakelet.wire.sigv4 import read_claim, verify

KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
TARGET = {"X-Amz-Target": "Firehose_20150804.PutRecord"}


async def nothing() -> dict[str, Any]:
    return {"type": "http.request"}


def to_request(signed: AWSRequest) -> HttpRequest:
    prepared = signed.prepare()
    path, _, query = prepared.url.split("://", 1)[1].partition("?")
    headers = {name.lower(): _text(value) for name, value in prepared.headers.items()}
    host, _, path = path.partition("/")
    headers.setdefault("host", host)
    body = prepared.body or b""
    return HttpRequest(
        prepared.method, f"/{path}", query, headers, nothing,
        body=body if isinstance(body, bytes) else body.encode(),
    )  # fmt: skip


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def sign(
    auth: Callable[..., Any] = SigV4Auth,
    *,
    method: str = "POST",
    url: str = "http://127.0.0.1:4566/",
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    service: str = "firehose",
    keys: Credentials = KEYS,
    token: str | None = None,
    **settings: Any,
) -> HttpRequest:
    request = AWSRequest(method, url, headers=headers or {}, data=body)
    boto_keys = BotoCredentials(keys.access_key_id, keys.secret, token)
    auth(boto_keys, service, "us-east-1", **settings).add_auth(request)
    return to_request(request)


def check(request: HttpRequest, now: datetime | None = None) -> None:
    claim = read_claim(request)
    assert claim is not None
    verify(request, claim, KEYS, now or datetime.now(UTC))


def refusal(request: HttpRequest, now: datetime | None = None) -> Refusal:
    with pytest.raises(ProtocolRefusal) as caught:
        check(request, now)
    return caught.value.refusal


def test_a_header_signature_holds() -> None:
    check(sign(headers=TARGET))
    check(sign(headers={**TARGET, "X-Odd": "  two   spaces  "}))
    check(sign(token="a session token"))


@pytest.mark.parametrize("auth", [SigV4QueryAuth, S3SigV4QueryAuth])
def test_a_presigned_address_holds(auth: Any) -> None:
    check(sign(auth, method="GET", body=b"", service="s3" if auth is S3SigV4QueryAuth else "sts"))


paths = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(paths, paths, st.sampled_from([S3SigV4Auth, S3SigV4QueryAuth]))
def test_any_s3_key_can_be_signed(key: str, value: str, auth: Any) -> None:
    from urllib.parse import quote

    url = f"http://127.0.0.1:1/bucket/{quote(key, safe='/~')}?prefix={quote(value, safe='')}&acl"
    check(sign(auth, method="GET", url=url, body=b"", service="s3"))


def changed(**attributes: Any) -> Callable[[HttpRequest], None]:
    def change(request: HttpRequest) -> None:
        for name, value in attributes.items():
            setattr(request, name, value)

    return change


def header(name: str, value: str) -> Callable[[HttpRequest], None]:
    def change(request: HttpRequest) -> None:
        request.headers = {**request.headers, name: value}

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed(method="PUT"),
        changed(raw_path="/other"),
        changed(query_string="a=b"),
        changed(body=b"{} "),
        header("host", "127.0.0.1:1"),
        header("x-amz-target", "Firehose_20150804.DeleteDeliveryStream"),
        header("x-amz-added", "unsigned"),
    ],
)
def test_whatever_is_changed_breaks_it(change: Callable[[HttpRequest], None]) -> None:
    request = sign(headers=TARGET)
    change(request)
    assert refusal(request) is Refusal.WRONG_SIGNATURE


def test_other_keys() -> None:
    wrong_secret = Credentials(KEYS.access_key_id, "x" * 40)
    assert refusal(sign(keys=wrong_secret)) is Refusal.WRONG_SIGNATURE
    assert refusal(sign(keys=Credentials("AKIAOTHER", KEYS.secret))) is Refusal.UNKNOWN_KEY


@pytest.mark.parametrize(("minutes", "holds"), [(14, True), (16, False), (-14, True), (-16, False)])
def test_clocks_may_differ_by_a_quarter_of_an_hour(minutes: int, holds: bool) -> None:
    request, now = sign(), datetime.now(UTC) + timedelta(minutes=minutes)
    if holds:
        check(request, now)
    else:
        assert refusal(request, now) is Refusal.SKEWED


@pytest.mark.parametrize(("seconds", "holds"), [(0, True), (290, True), (310, False)])
def test_a_presigned_address_expires(seconds: int, holds: bool) -> None:
    request = sign(S3SigV4QueryAuth, method="GET", body=b"", service="s3", expires=300)
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    if holds:
        check(request, now)
    else:
        assert refusal(request, now) is Refusal.EXPIRED


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/other, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Signature=x",
        "AWS4-HMAC-SHA256 nonsense",
    ],
)
def test_signatures_that_cannot_be_read(authorization: str) -> None:
    headers = {"authorization": authorization, "x-amz-date": "20260309T143000Z"}
    with pytest.raises(ProtocolRefusal) as caught:
        read_claim(HttpRequest("POST", "/", "", headers, nothing))
    assert caught.value.refusal is Refusal.MALFORMED_SIGNATURE


@pytest.mark.parametrize("date", ["", "yesterday", "2026-03-09T14:30:00Z"])
def test_dates_that_cannot_be_read(date: str) -> None:
    request = sign()
    request.headers = {**request.headers, "x-amz-date": date}
    assert refusal(request) is Refusal.MALFORMED_SIGNATURE


@pytest.mark.parametrize("seconds", ["-1", "604801", "x"])
def test_lives_that_no_address_may_have(seconds: str) -> None:
    request = sign(S3SigV4QueryAuth, method="GET", body=b"", service="s3")
    request.query_string = request.query_string.replace("Expires=3600", f"Expires={seconds}")
    assert refusal(request) is Refusal.MALFORMED_SIGNATURE


def test_the_scope_is_of_the_day_it_was_signed() -> None:
    request = sign()
    day = request.headers["x-amz-date"][:8]
    moved = request.headers["authorization"].replace(f"/{day}/", "/20200101/")
    request.headers = {**request.headers, "authorization": moved}
    assert refusal(request) is Refusal.WRONG_SIGNATURE


def test_no_signature_is_no_claim() -> None:
    assert read_claim(HttpRequest("GET", "/", "", {"authorization": "Bearer x"}, nothing)) is None
