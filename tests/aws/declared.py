"""The shipped declaration's contract, by hand: the template's tests need no SQL parser."""

from lakelet.aws.settings import AwsSettings
from lakelet.aws.site import Site
from lakelet.model.contract import Computed, Contract, EventTime, Expression, Field, TableContract
from lakelet.model.pipeline import Pipeline

_TYPES = {"product_price": "double", "quantity": "int", "search_results_count": "int"}
_FIELDS = [
    "event_id",
    "event_type",
    "timestamp",
    "user_id",
    "session_id",
    "page_url",
    "product_id",
    "product_name",
    "product_category",
    "product_price",
    "quantity",
    "search_query",
    "search_results_count",
    "device_type",
    "browser",
    "country",
    "city",
]


def _field(name: str) -> Field:
    if name == "timestamp":
        return Field(name, "timestamp", "event_timestamp", (name,), required=True)
    return Field(name, _TYPES.get(name, "string"), name, (name,))


def _computed(column: str, kind: str) -> Computed:
    return Computed(column, kind, Expression(kind, value=None), "NULL")


def events_table(*more: Field, name: str = "events") -> TableContract:
    return TableContract(
        name,
        (*map(_field, _FIELDS), *more),
        EventTime("event_timestamp"),
        (
            _computed("revenue", "double"),
            _computed("hour", "int"),
            _computed("day_of_week", "string"),
            _computed("event_date", "date"),
        ),
    )


def default_site(settings: AwsSettings | None = None, **pipeline: object) -> Site:
    contract = Contract(1, (events_table(),))
    return Site(Pipeline(**pipeline), contract, settings or AwsSettings())  # type: ignore[arg-type]
