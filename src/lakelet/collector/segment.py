"""Segment's messages as events of ours: the mapping is data, `map_message` applies it.

Shapes as Segment's own libraries send them (analytics-python 2.4, analytics-node 3.1,
analytics-next 1.84, read and tried 2026-11); event and property names of its
e-commerce specification. Pure.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lakelet.collector import odd
from lakelet.collector.errors import BodyUnreadable
from lakelet.collector.http import Request
from lakelet.collector.rejected import NOT_AN_OBJECT, NOT_JSON, Rejected

Message = Mapping[str, Any]
Encode = Callable[[Mapping[str, Any]], bytes]

KINDS = ("track", "page", "screen", "identify", "group", "alias")

# analytics-next posts to the kind's first letter: /v1/t, /v1/p, …; batches to /v1/b.
ROUTES: Mapping[str, str] = {
    **{kind: kind for kind in KINDS},
    **{kind[0]: kind for kind in KINDS},
    "batch": "batch",
    "b": "batch",
    "import": "batch",
}

_EVENT_TYPES = {
    "Product Added": "add_to_cart",
    "Product Removed": "remove_from_cart",
    "Products Searched": "search",
    "Order Completed": "purchase",
    "Product Viewed": "product_view",
    "Product List Viewed": "product_list_view",
    "Product Clicked": "product_click",
    "Cart Viewed": "cart_view",
    "Checkout Started": "checkout_start",
    "Signed In": "login",
    "Signed Out": "logout",
    "Signed Up": "signup",
}

_KIND_TYPES = {
    "page": "page_view",
    "screen": "screen_view",
    "identify": "identify",
    "group": "group",
    "alias": "alias",
}

# field of ours <- the first of these paths that holds something.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "event_id": ("messageId",),
    "timestamp": ("timestamp", "originalTimestamp", "sentAt"),
    "user_id": ("userId",),
    "anonymous_id": ("anonymousId",),
    "session_id": ("properties.session_id", "context.sessionId", "context.session_id"),
    "page_url": ("context.page.url", "properties.url"),
    "page_title": ("context.page.title", "properties.title"),
    "page_referrer": ("context.page.referrer", "properties.referrer"),
    "product_id": ("properties.product_id", "properties.sku"),
    "product_category": ("properties.category",),
    "product_price": ("properties.price",),
    "quantity": ("properties.quantity",),
    "search_query": ("properties.query",),
    "search_results_count": ("properties.results_count", "properties.search_results_count"),
    "device_type": ("context.device.type",),
    "user_agent": ("context.userAgent",),
    "locale": ("context.locale",),
    "country": ("context.location.country",),
    "city": ("context.location.city",),
    "ip_address": ("context.ip",),
    "email": ("traits.email", "context.traits.email", "properties.email"),
    "group_id": ("groupId",),
    "previous_id": ("previousId",),
}

_NAME_FIELD = {"track": "product_name", "page": "page_name", "screen": "screen_name"}

# Said elsewhere, or between the library and its server.
_SILENT = frozenset(
    {
        *("type", "event", "name", "properties", "context", "traits", "integrations"),
        *("writeKey", "_metadata", "sentAt", "originalTimestamp", "receivedAt", "channel"),
    }
)


@dataclass(frozen=True, slots=True)
class SegmentMapping:
    """
    Attributes:
        event_types: a track call's event name -> event_type. A name that is not
            here becomes its own words in snake case: "Coupon Applied" -> coupon_applied.
        fields: field of ours -> paths in the message, the first with a value wins.
        split_by_product: event types whose `properties.products` become one event
            each: our contract counts revenue as price times quantity of a row.
    """

    event_types: Mapping[str, str] = field(default_factory=lambda: dict(_EVENT_TYPES))
    kind_types: Mapping[str, str] = field(default_factory=lambda: dict(_KIND_TYPES))
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(_FIELDS))
    split_by_product: frozenset[str] = frozenset({"purchase"})


def read_body(route_kind: str, body: bytes) -> tuple[Mapping[str, Any], Encode]:
    """The body, and how events made of it become JSON text again (ValueError: they do not).

    Where a batch holds a message that is no JSON, that is a `Rejected` in its place.

    Raises BodyUnreadable.
    """
    try:
        return msgspec.json.decode(body, type=dict[str, Any]), msgspec.json.encode
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # of one message, as a rule
    try:
        return _read_odd_body(route_kind, body.strip()), odd.write
    except ValueError as error:
        raise BodyUnreadable(
            f"the body is not a JSON object: {error}", hint="Send what Segment's libraries do."
        ) from error


def _read_odd_body(route_kind: str, text: bytes) -> Mapping[str, Any]:
    is_batch = route_kind == "batch"
    return {
        name: _read_batch(part) if is_batch and name == "batch" else odd.read(part)
        for name, part in odd.split_object(text).items()
    }


def _read_batch(text: bytes) -> list[Any]:
    return [_read_message(part) for part in odd.split_array(text)]


def _read_message(text: bytes) -> Any:
    try:
        return odd.read(text)
    except ValueError:
        return NOT_JSON


def messages_of(route_kind: str, body: Mapping[str, Any]) -> list[Message | Rejected]:
    """The messages of a request; a `Rejected` for what is no message, in its place."""
    if route_kind != "batch":
        return [{**body, "type": route_kind}]
    batch = body.get("batch")
    if not isinstance(batch, list):
        return []
    common = {name: body[name] for name in ("context", "sentAt") if body.get(name)}
    return [_with_common(item, common) for item in batch]


def _with_common(message: Any, common: Mapping[str, Any]) -> Message | Rejected:
    """A batch's own context and instant stand behind each message's."""
    if isinstance(message, Rejected):
        return message
    if not isinstance(message, dict):
        return NOT_AN_OBJECT
    merged = {**common, **message}
    if isinstance(common.get("context"), dict):
        merged["context"] = {**common["context"], **_dict(message.get("context"))}
    return merged


def map_message(message: Message, mapping: SegmentMapping) -> list[dict[str, Any]]:
    """The events of one message: one, or one a product; [] for what is no message of Segment's.

    What the mapping does not name keeps its name: properties at the event's top
    level, where the contract gathers undeclared fields, traits under `traits`.
    """
    kind = message.get("type")
    if kind not in KINDS:
        return []
    event: dict[str, Any] = {"event_type": _event_type(kind, message, mapping)}
    used: set[str] = set()
    for target, paths in mapping.fields.items():
        for path in paths:
            value = _at(message, path)
            if value not in (None, ""):
                event[target] = value
                used.add(path)
                break
    event |= _names(kind, message)
    event |= _rest(message, event, used)
    if event["event_type"] in mapping.split_by_product:
        return _split(event)
    return [event]


def _event_type(kind: str, message: Message, mapping: SegmentMapping) -> str:
    if kind != "track":
        return mapping.kind_types.get(kind, kind)
    name = str(message.get("event") or "track")
    return mapping.event_types.get(name) or "_".join(name.lower().split())


def _names(kind: str, message: Message) -> dict[str, Any]:
    """`name` means a product in a track call and the page itself in a page call."""
    found: dict[str, Any] = {"segment_type": kind}
    if kind == "track" and message.get("event"):
        found["segment_event"] = message["event"]
    name = _at(message, "properties.name") or message.get("name")
    if name and kind in _NAME_FIELD:
        found[_NAME_FIELD[kind]] = name
    return found


def _rest(message: Message, event: Mapping[str, Any], used: Iterable[str]) -> dict[str, Any]:
    """Everything that no field took, so that nothing is lost by mapping."""
    taken = {path.partition(".")[2] for path in used if path.startswith("properties.")} | {"name"}
    properties = _dict(message.get("properties"))
    rest = {
        name: value
        for name, value in properties.items()
        if name not in taken and name not in event and value is not None
    }
    tops = {path for path in used if "." not in path}
    for name, value in message.items():
        if name not in _SILENT and name not in tops and name not in event and value:
            rest.setdefault(name, value)
    if traits := _dict(message.get("traits")):
        rest["traits"] = {name: value for name, value in traits.items() if name != "email"}
    if campaign := _at(message, "context.campaign"):
        rest["campaign"] = campaign
    if library := _at(message, "context.library"):
        rest["library"] = library
    return rest


def _split(event: dict[str, Any]) -> list[dict[str, Any]]:
    """An order as one event a product, ids derived, so that a resend makes the same ones."""
    products = event.get("products")
    if not isinstance(products, list) or not all(isinstance(item, dict) for item in products):
        return [_priced_by_total(event)]
    order = {name: value for name, value in event.items() if name != "products"}
    if not products:
        return [_priced_by_total(order)]
    lines = [{**order, **_product(product)} for product in products]
    for number, line in enumerate(lines, 1):
        if len(lines) > 1 and order.get("event_id"):
            line["event_id"] = f"{order['event_id']}-{number}"
    return lines


def _priced_by_total(order: dict[str, Any]) -> dict[str, Any]:
    """An order that names no products: its total is what we know of its worth."""
    total = next((order[n] for n in ("revenue", "total", "value") if order.get(n)), None)
    if "product_price" in order or total is None:
        return order
    return {**order, "product_price": total, "quantity": 1}


_PRODUCT_FIELDS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("product_id", ("product_id", "sku")),
    ("product_name", ("name",)),
    ("product_category", ("category",)),
    ("product_price", ("price",)),
    ("quantity", ("quantity",)),
)


def _product(product: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"quantity": 1}
    used: set[str] = set()
    for target, names in _PRODUCT_FIELDS:
        for name in names:
            if product.get(name) not in (None, ""):
                found[target] = product[name]
                used.add(name)
                break
    rest = {name: value for name, value in product.items() if name not in used}
    return {**found, **({"product": rest} if rest else {})}


def _at(message: Mapping[str, Any], path: str) -> Any:
    value: Any = message
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


# --- what analytics-next asks for before it sends ---------------------------------

_SETTINGS_PATH = re.compile(r"/v1/projects/([^/]+)/settings")


def settings_key(path: str) -> str | None:
    """The write key where `path` is the one analytics-next loads its settings from."""
    found = _SETTINGS_PATH.fullmatch(path)
    return found[1] if found else None


def library_settings(write_key: str, request: Request) -> dict[str, Any]:
    """The least analytics-next needs, naming this host as the one to send to."""
    protocol = request.headers.get("x-forwarded-proto", request.scheme)
    host = request.headers.get("host", "")
    destination = {"apiKey": write_key, "apiHost": f"{host}/v1", "protocol": protocol}
    return {"integrations": {"Segment.io": destination}, "plan": {}, "edgeFunction": {}}
