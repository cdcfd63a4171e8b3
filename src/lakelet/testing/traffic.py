"""Believable clickstream traffic, by seed: the same seed and instant, the same bytes.

A shop's visitors browse, search, fill carts and sometimes buy. As in life, some
events come late, some twice, some carry fields nobody declared, and some are broken.
"""

import bisect
import itertools
import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Event = dict[str, Any]

_CATALOGUE: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("Audio", 79.0, ("Wireless Headphones", "Studio Monitor", "Travel Speaker", "Earbuds Mini")),
    ("Books", 18.0, ("The Lake in Winter", "Cooking for Two", "Maps of Nowhere", "Quiet Streams")),
    ("Garden", 34.0, ("Watering Can", "Herb Planter", "Pruning Shears", "Bird Feeder")),
    ("Home", 52.0, ("Linen Sheets", "Desk Lamp", "Wool Blanket", "Oak Stool")),
    ("Kitchen", 41.0, ("Chef's Knife", "Cast-Iron Pan", "Pour-Over Set", "Enamel Pot")),
    ("Outdoor", 96.0, ("Trail Backpack", "Two-Person Tent", "Camp Stove", "Rain Shell")),
)
_PLACES = (
    ("US", ("New York", "Chicago", "Austin", "Seattle"), 34),
    ("DE", ("Berlin", "Hamburg", "München", "Köln"), 18),
    ("GB", ("London", "Leeds", "Bristol"), 14),
    ("FR", ("Paris", "Lyon", "Nantes"), 11),
    ("JP", ("東京", "大阪"), 8),
    ("BR", ("São Paulo", "Recife"), 8),
    ("IN", ("Mumbai", "Pune"), 7),
)
_DEVICES = (("mobile", 58), ("desktop", 34), ("tablet", 8))
_BROWSERS = {
    "mobile": (("Safari", 48), ("Chrome", 45), ("Firefox", 7)),
    "desktop": (("Chrome", 60), ("Firefox", 18), ("Edge", 14), ("Safari", 8)),
    "tablet": (("Safari", 70), ("Chrome", 30)),
}
_SLICE_EVENTS = 2_000  # sorted at once
_CAMPAIGNS = ("newsletter", "spring-sale", "retargeting")


@dataclass(frozen=True, slots=True)
class TrafficMix:
    """Shares of all records, 0 to 1."""

    late: float = 0.02  # sent hours after they happened
    duplicate: float = 0.01  # sent again, same event_id
    broken: float = 0.005  # cannot become a row
    undeclared: float = 0.08  # carries fields the contract does not know


def generate(
    count: int,
    *,
    seed: int = 7,
    until: datetime | None = None,
    days: float = 3.0,
    mix: TrafficMix | None = None,
) -> Iterator[bytes]:
    """Exactly `count` records (JSON, no newline), in order of sending.

    Event times spread over the `days` before `until` (default: now, to the second)
    with a daily rhythm.
    """
    mix = mix or TrafficMix()
    until = until or datetime.now(UTC).replace(microsecond=0)
    shop = _Shop(random.Random(seed), until - timedelta(days=days), until, mix)  # noqa: S311
    return itertools.islice(shop.records(count), count)


class _Shop:
    def __init__(
        self, rng: random.Random, since: datetime, until: datetime, mix: TrafficMix
    ) -> None:
        self.rng, self.since, self.until, self.mix = rng, since, until, mix
        self.products = [
            {
                "product_id": f"P{number:03d}",
                "product_name": name,
                "product_category": category,
                "product_price": round(price * rng.uniform(0.6, 1.7), 2),
            }
            for number, (category, price, name) in enumerate(
                (category, price, name) for category, price, names in _CATALOGUE for name in names
            )
        ]
        # Popularity falls off as ranks do in shops (Zipf), so that top products mean something.
        self.popularity = list(itertools.accumulate(1 / (i + 1) ** 0.9 for i in range(24)))
        self.order = rng.sample(range(24), 24)
        self.visitors = int(rng.uniform(4_000, 6_000))
        self.late: list[bytes] = []

    def records(self, count: int) -> Iterator[bytes]:
        """Slices of time one after the other, each sorted, so that memory stays flat."""
        slices = max(1, math.ceil(count / _SLICE_EVENTS))
        moments = self._equal_shares(slices)
        sent = 0
        for index in itertools.count():
            # Losses to chance at the end are made up for in the last slice's time.
            position = min(index, slices - 1)
            share = max(1, math.ceil((count - sent) / (slices - position)))
            for record in self._slice(moments[position], moments[position + 1], share):
                yield record
                sent += 1

    def _equal_shares(self, slices: int) -> list[datetime]:
        """Instants that cut the whole time into `slices` of equally many events."""
        step = (self.until - self.since) / 2_000
        busyness = itertools.accumulate(
            (_busyness(self.since + step * number) for number in range(2_000)), initial=0.0
        )
        total = list(busyness)
        cuts = (bisect.bisect_left(total, total[-1] * share / slices) for share in range(1, slices))
        return [self.since, *(self.since + step * cut for cut in cuts), self.until]

    def _slice(self, begin: datetime, end: datetime, count: int) -> Iterator[bytes]:
        events: list[tuple[datetime, Event]] = []
        while len(events) < count:
            events += self._session(self._moment(begin, end), end)
        del events[count:]  # the last visitor's leave, not the last hour's
        events.sort(key=lambda pair: pair[0])
        for at, event in events:
            event["timestamp"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            yield from self._send(event)
        yield from self.late
        self.late.clear()

    def _moment(self, begin: datetime, end: datetime) -> datetime:
        """By rejection against how busy the day is then."""
        while True:
            at = begin + (end - begin) * self.rng.random()
            if self.rng.random() < _busyness(at):
                return at

    def _send(self, event: Event) -> Iterator[bytes]:
        rng, mix = self.rng, self.mix
        if rng.random() < mix.undeclared:
            event["utm_campaign"] = rng.choice(_CAMPAIGNS)
            event["app"] = {"version": f"4.{rng.randrange(9)}", "ab": rng.choice("AB")}
        record = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        roll = rng.random()
        if roll < mix.broken:
            yield rng.choice(_BREAKAGES)(event, record)
            return
        if roll < mix.broken + mix.late:
            self.late.append(record)
            return
        yield record
        if roll > 1 - mix.duplicate:
            yield record

    def _session(self, at: datetime, end: datetime) -> Iterator[tuple[datetime, Event]]:
        """One visit: browse, perhaps search, perhaps cart, perhaps buy."""
        rng = self.rng
        country, cities, _ = _weighted(rng, _PLACES)
        device = _weighted(rng, _DEVICES)[0]
        visitor = int(rng.paretovariate(0.35)) % self.visitors
        base: Event = {
            "user_id": f"u{visitor:05d}",
            "session_id": f"s{rng.getrandbits(48):012x}",
            "device_type": device,
            "browser": _weighted(rng, _BROWSERS[device])[0],
            "country": country,
            "city": rng.choice(cities),
            "ip_address": f"203.0.113.{rng.randrange(1, 255)}",
        }
        moment = at
        for event_type, fields in self._steps(base):
            if moment >= end:
                return
            yield moment, {"event_id": self._id(), "event_type": event_type, **base, **fields}
            moment += timedelta(milliseconds=int(rng.lognormvariate(9.6, 0.9)))

    def _steps(self, base: Event) -> Iterator[tuple[str, Event]]:
        rng = self.rng
        yield "page_view", {"page_url": "https://shop.example/"}
        if rng.random() < 0.35:
            query = rng.choice(rng.choice(_CATALOGUE)[2]).lower()
            yield (
                "search",
                {
                    "search_query": query,
                    "search_results_count": rng.randrange(0, 40),
                    "page_url": f"https://shop.example/search?q={query.replace(' ', '+')}",
                },
            )
        elif rng.random() < 0.35:
            return  # left at the door
        cart: list[Event] = []
        for _ in range(min(12, 1 + int(rng.expovariate(0.45)))):
            product = self._product()
            page = f"https://shop.example/p/{product['product_id']}"
            yield "page_view", {"page_url": page, **product}
            if rng.random() < 0.22:
                cart.append({**product, "quantity": 1 + int(rng.expovariate(1.6))})
                yield "add_to_cart", {"page_url": page, **cart[-1]}
        if cart and rng.random() < 0.15:
            yield (
                "remove_from_cart",
                {"page_url": "https://shop.example/cart", **cart.pop(rng.randrange(len(cart)))},
            )
        if cart and rng.random() < 0.55:
            email = f"{base['user_id']}@mail.example"
            login = {"page_url": f"https://shop.example/login?email={email}", "email": email}
            yield "login", login
            for line in cart:
                yield "purchase", {"page_url": "https://shop.example/checkout", **line}
            if rng.random() < 0.3:
                yield "logout", {"page_url": "https://shop.example/"}

    def _product(self) -> Event:
        rank = bisect.bisect(self.popularity, self.rng.random() * self.popularity[-1])
        return self.products[self.order[min(rank, 23)]]

    def _id(self) -> str:
        bits = f"{self.rng.getrandbits(128):032x}"
        return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"


def _busyness(at: datetime) -> float:
    """0.1 at 08:00 UTC to 1 at 20:00 UTC: evening in Europe, midday in America."""
    hours = at.hour + at.minute / 60
    return 0.55 + 0.45 * math.cos((hours - 20) / 24 * 2 * math.pi)


def _weighted(rng: random.Random, choices: tuple[Any, ...]) -> Any:
    """One of `choices`, whose last members are their weights."""
    return rng.choices(choices, [choice[-1] for choice in choices])[0]


def _dump(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def _without(key: str) -> Callable[[Event, bytes], bytes]:
    return lambda event, _: _dump({k: v for k, v in event.items() if k != key})


_BREAKAGES: tuple[Callable[[Event, bytes], bytes], ...] = (
    lambda _, record: record[: len(record) * 2 // 3],  # cut off on the way
    lambda event, _: _dump({**event, "product_price": "call us"}),
    lambda event, _: _dump({**event, "timestamp": "yesterday"}),
    lambda event, _: _dump({**event, "timestamp": "1970-01-01T00:00:07Z"}),  # a dead battery
    _without("timestamp"),
    _without("event_id"),
)
