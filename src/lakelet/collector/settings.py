"""What the collector lets in, from whom, and what it adds."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakelet.collector.segment import SegmentMapping
from lakelet.model.toml import Section


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: `burst` requests at once, `per_second` in the long run."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What the server adds to an event; an event's own field always wins.

    Attributes:
        event_id, timestamp: fill in what the contract needs, where it is absent.
        ip_field: the sender's address, or None to never keep it.
        device_fields: device_type and browser, from the User-Agent header.
    """

    event_id: bool = True
    timestamp: bool = True
    ip_field: str | None = None
    device_fields: bool = False


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """
    Attributes:
        stream: where events go whose write key names no stream of its own.
        write_keys: key -> stream ("" for `stream`). Empty: no key is asked for.
        origins: sites whose pages may send, as `https://shop.example`; "*" for
            any. The collector's own origin always may.
        body_bytes_max: as it arrives; over it the answer is 413.
        inflated_bytes_max: of a gzip body. Reading stops there: a bomb costs no more.
        per_key, per_address: None sets no limit.
        buckets_max: how many keys and addresses are remembered, each.
        trusted_proxies: networks whose X-Forwarded-For is believed; no others.
        pixel_honours_signals: DNT and Sec-GPC keep a pixel from being recorded.
            (The tracker honours them in the browser.)
    """

    stream: str
    write_keys: Mapping[str, str] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    body_bytes_max: int = 1024 * 1024
    inflated_bytes_max: int = 8 * 1024 * 1024
    per_key: RateLimit | None = None
    per_address: RateLimit | None = RateLimit(per_second=50, burst=200)
    buckets_max: int = 10_000
    trusted_proxies: tuple[str, ...] = ()
    enrichment: Enrichment = field(default_factory=Enrichment)
    segment: SegmentMapping = field(default_factory=SegmentMapping)
    retry_after_seconds: int = 5
    tracker_cache_seconds: int = 3600
    pixel_honours_signals: bool = True


def read_collector(section: Section, *, stream: str) -> CollectorSettings:
    """The `[collector]` table of a declaration.

        [collector]
        origins = ["https://shop.example"]
        trusted_proxies = ["10.0.0.0/8"]
        per_key = { per_second = 500, burst = 1000 }
        per_address = { per_second = 50, burst = 200 }
        ip_field = "ip_address"
        device_fields = true
        [collector.write_keys]
        "wk_shop" = "clickstream"
        [collector.segment.events]
        "Order Completed" = "purchase"

    Raises DeclarationError.
    """
    base = CollectorSettings(stream)
    settings = CollectorSettings(
        stream=stream,
        write_keys=_texts(section.section("write_keys")),
        origins=tuple(section.take("origins", list, [])),
        body_bytes_max=section.take("body_bytes_max", int, base.body_bytes_max, least=1024),
        inflated_bytes_max=section.take(
            "inflated_bytes_max", int, base.inflated_bytes_max, least=1024
        ),
        per_key=_rate(section.section("per_key")) or base.per_key,
        per_address=_rate(section.section("per_address")) or base.per_address,
        trusted_proxies=_networks(section),
        enrichment=Enrichment(
            ip_field=section.take("ip_field", str) or None,
            device_fields=section.take("device_fields", bool, False),
        ),
        segment=_segment(section.section("segment")),
    )
    section.finish()
    return settings


def _networks(section: Section) -> tuple[str, ...]:
    texts = tuple(section.take("trusted_proxies", list, []))
    for text in texts:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise section.error(
                "trusted_proxies", str(error), "Write networks as 10.0.0.0/8 or ::1."
            ) from error
    return texts


def _texts(section: Section) -> dict[str, str]:
    return {key: section.take(key, str, "") for key in section.values}


def _rate(section: Section) -> RateLimit | None:
    if not section.values:
        return None
    rate = RateLimit(
        section.take("per_second", float, required=True, least=0.001),
        section.take("burst", int, required=True, least=1),
    )
    section.finish()
    return rate


def _segment(section: Section) -> SegmentMapping:
    base = SegmentMapping()
    events = {**base.event_types, **_texts(section.section("events"))}
    section.finish()
    return SegmentMapping(event_types=events)
