"""Raw objects for the tests: ordinary events, hostile ones, and ways to lay them out."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

ARRIVED = datetime(2026, 3, 9, 15, 0, tzinfo=UTC)
KEY = (
    "year=2026/month=03/day=09/"
    "clickstream-1-2026-03-09-15-00-00-00000000-0000-4000-8000-000000000001.gz"
)


def event(n: int = 1, **other: Any) -> dict[str, Any]:
    """A page view as a web shop would send it."""
    return {
        "event_id": f"e{n}",
        "event_type": "page_view",
        "timestamp": "2026-03-09T14:30:00.000Z",
        "user_id": "u1",
        "page_url": "https://shop.example/p/1?q=x",
        **other,
    }


def line(n: int = 1, **other: Any) -> bytes:
    return json.dumps(event(n, **other)).encode()


# --- hypothesis ---------------------------------------------------------------------

_TIMES = [
    "2026-03-09T14:30:00Z",
    "2026-03-09T14:30:00.123456Z",
    "2026-03-09 14:30:00",
    "2026-03-09T14:30:00.123456789Z",
    "2026-03-09T23:30:00-01:30",
    "2026-03-09",
    "20260309T143000Z",
    "2026-W11-1T10:00:00Z",
    "2026-068",
    "2026-03-08T24:00:00Z",
    "2026-03-08T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2024-02-29T12:00:00+00:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0000-12-31T23:59:59Z",  # what Arrow reads, and Python's calendar does not
    "0001-01-01T00:00:00+05:00",
    "9999-12-31T23:59:59-05:00",
    "2026-03-09T14Z",
    "2026-03-09T14:30+0530",
    "1773066600",
    "yesterday",
    "",
    " 2026-03-09T14:30:00Z ",
    1773066600,
    1773066600123,
    1773066600123456,
    1773066600123456789,
    1773066600.123456,
    1773066600.1234567,
    -1,
    -1773066600123456789,
    10**30,
    True,
    None,
    {},
]
_NUMBERS = [
    0,
    -0.0,
    1,
    29.99,
    "29.99",
    " 7 ",
    "+5",
    "1,000",
    "1e3",
    1e3,
    2.0,
    2.5,
    2**31 - 1,
    2**31,
    2**63,
    10**40,
    "NaN",
    "0x10",
    1e-320,
    "1e400",
    "",
    True,
    False,
    None,
    [],
    {"a": 1},
]
_TEXTS = [
    "x",
    "",
    "naïve ☃ 𝄞",
    'quote " backslash \\ slash /',
    "tab\tnewline\nnul\x00del\x7f",
    "half \ud83d",
    "a@b.example",
    "https://x.example/?mail=jane%40doe.example&x=1",
    "\\n" + "jane@doe.example",
    "},{",
    "}{",
    "}\n{",
    12,
    1.50,
    -0,
    12345678901234567890123,
    True,
    None,
    ["a"],
    {"email": "a@b.c", "n": 1.10},
]

_NAMES = ["a", "email", "IP_Address", "x@y.example"]
_scalars = st.sampled_from([*_NUMBERS, *_TEXTS]) | st.text(max_size=8) | st.integers()
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "email", "IP_Address", "x@y.example"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.sampled_from(["e1", "e2", "e3", "e4", "", 5, None]) | st.uuids().map(str),
    "event_type": st.sampled_from(["page_view", "purchase", "bot", "vital", "", 3, None]),
    "timestamp": st.sampled_from(_TIMES),
    "user_id": st.sampled_from(_TEXTS),
    "page_url": st.sampled_from(_TEXTS),
    "product_price": st.sampled_from(_NUMBERS),
    "quantity": st.sampled_from(_NUMBERS),
    "ip_address": st.sampled_from(["10.1.2.3", "2001:db8::1", "none", None, 7]),
    "email": st.sampled_from(_TEXTS),
    "utm_source": _values,
    "Email2": _values,
    "device": _values | st.fixed_dictionaries({"type": _scalars}, optional={"os": _values}),
    "flag": st.sampled_from([True, False, "TRUE", "no", 0, 1, None]),
    "amount": st.sampled_from(_NUMBERS),
    "tags": st.lists(_scalars, max_size=3) | _values,
    "counts": st.dictionaries(st.text(max_size=2), st.sampled_from(_NUMBERS), max_size=3),
    "blob": _values,
    "born": st.sampled_from(_TIMES),
    "name": _scalars,
}
_ORDINARY = {
    "event_id": st.uuids().map(str),
    "event_type": st.sampled_from(["page_view", "purchase", "vital", "bot"]),
    "timestamp": st.just("2026-03-09T14:30:00Z"),
}


def _dumped(value: Any, separators: tuple[str, str], ascii_only: bool) -> str:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
    return (
        text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not ascii_only else text
    )


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """One event as bytes; most of them could be rows."""
    fields = {name: draw(strategy) for name, strategy in _ORDINARY.items()}
    for name in draw(st.lists(st.sampled_from(sorted(_FIELDS)), max_size=6)):
        fields[name] = draw(_FIELDS[name])
    indent = draw(st.sampled_from([None, None, None, 1]))
    if indent:
        return json.dumps(fields, indent=indent).encode()
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    return _dumped(fields, separators, draw(st.booleans())).encode()


HOSTILE = [
    b"garbage",
    b"null",
    b"}null{",
    b"NaN",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"{}",
    b'{"event_id":"x"',
    b'{"event_id":"x","timestamp":"20',
    b'{"event_id":"a","event_type":"t","timestamp":1773066600,"product_price":NaN}',
    b'{"event_id":"a","event_type":"t","timestamp":1773066600,"product_price":1e400}',
    b'{"event_id":"dup","event_id":"dup2","event_type":"t","timestamp":1773066600}',
    b'{"event_id":"dup3","event_type":"t","timestamp":1773066600,"x":1,"x":2}',
    b'{"event_id":"bad\xff","event_type":"t","timestamp":1773066600}',
    b'{"event_id":"s\\ud800","event_type":"t","timestamp":1773066600}',
    b'{"event_id":"u","event_type":"t","timestamp":1773066600,"y":"\\udc00","\\ud800":1}',
    b'{"event_id":"nul\x00","event_type":"t","timestamp":1773066600}',
    b"{'event_id': 1}",
    b'{"a":1,}',
    b'{"a":01}',
    b'{"a":{"b":[}',
    b'{"a":"}{","b":"\\"}',
    b"\xef\xbb\xbf",
    b"\xef\xbb",
    b"\x00",
    b"\x0c",
    b"// comment",
    b'{"a":' * 120 + b"1" + b"}" * 120,
    b"[" * 300,
    b'{"event_id":"z","event_type":"t","timestamp":1773066600}}',
    b'{"event_id":"y","event_type":"t","timestamp":1773066600}{"event_id":"y2"',
]
_JOINERS = [b"\n", b"\n", b"\n", b"", b"\r\n", b"\n\n", b",", b",\n", b" ", b"\n  ", b"[", b"]\n"]


@st.composite
def raw_objects(draw: st.DrawFn) -> bytes:
    """A whole object: events and hostile bytes, laid out in every way."""
    pieces = draw(
        st.lists(
            documents() | documents() | st.sampled_from(HOSTILE) | st.binary(max_size=12),
            max_size=12,
        )
    )
    joiner = draw(st.sampled_from(_JOINERS) | st.none())
    data = b""
    for piece in pieces:
        data += piece + (joiner if joiner is not None else draw(st.sampled_from(_JOINERS)))
    return data[: len(data) - draw(st.sampled_from([0, 0, 0, 1, 7]))] if data else data


_FLAT: dict[str, st.SearchStrategy[str]] = {
    "event_id": st.sampled_from(['"e1"', '"e2"', '"e\\u00e9"', '""', "7", "null"])
    | st.uuids().map(lambda u: f'"{u}"'),
    "event_type": st.sampled_from(['"page_view"', '"purchase"', '"vital"', '"bot"']),
    "timestamp": st.sampled_from(
        ['"2026-03-09T14:30:00Z"', '"2026-03-09 14:30:00.5"', "1773066600", "1773066600.25", '"?"']
    ),
    "user_id": st.sampled_from(['"u"', "12", "-0", "1.50", "true", '"a\\"b"', '"\\ud83d\\ude00"']),
    "page_url": st.sampled_from(['"https://x/?a=b@c.example"', '"x%40y.example"', '"{}"', '"},{"']),
    "product_price": st.sampled_from(["1", "29.99", '"29.99"', "1e2", "1e999", "-0.0", "null"]),
    "quantity": st.sampled_from(["1", "2", '"2"', "2.0", "99999999999", "null"]),
    "flag": st.sampled_from(["true", "false", "1", '"TRUE"', "null"]),
    "amount": st.sampled_from(["1", "1.25", "1.250", "1.255", "99999999.99", "100000000"]),
    "email": st.just('"a@b.example"'),
    "utm": st.sampled_from(['"x"', '"a: b, c"', "1.10", "-0", "-1e5", "null", "true", '"null,"']),
    "score": st.sampled_from(["0", "0.0", "12", '":null,"', '"naïve"', '"a@b.example"', "[1]"]),
    "app": st.sampled_from(
        [
            '{"v": "1", "n":1.10}',
            "{ }",
            '{"city":"x","quantity":1}',
            '{"email":"x"}',
            '{"v":1,"v":2}',
            '{"v":null}',
            '[ {"v":1}, {"v":2} , 3 ]',
            '{"v":[1, "a,b" ],"w":true }',
            '{"v":{"w":1}}',
            '{"v":"{"}',
            "[]",
            "[[1]]",
            '{"device":{"type":"x"}}',
        ]
    ),
    "Email3": st.just('"a@b.example"'),
    "odd name": st.just("1"),
}


@st.composite
def flat_objects(draw: st.DrawFn) -> bytes:
    """Lines as producers send them: flat, mostly alike, some of them odd. For the quick reader."""
    usual = [*_ORDINARY, *draw(st.lists(st.sampled_from(sorted(_FLAT)), max_size=3))]
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    lines = []
    for _ in range(draw(st.integers(1, 12))):
        more = draw(st.lists(st.sampled_from(sorted(_FLAT)), max_size=2))
        names = [*usual, *more] if draw(st.integers(0, 4)) else more  # names may come twice
        pairs = [f'"{name}"{colon}{draw(_FLAT[name])}' for name in draw(st.permutations(names))]
        lines.append("{" + comma.join(pairs) + "}")
    if not draw(st.integers(0, 3)):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(["", "?", "[", "]"])))
    joiner = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "", ",\n"]))
    return joiner.join(lines).encode()
