"""The price table: dollars, with the region, date and source they are of."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lakelet.model.toml import Section, load, load_file


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars; the unit ends each name. GB is 10^9 bytes for transfer, 2^30 for storage
    on AWS's bills; the difference (7 %) is below what an estimate can promise: 10^9 here."""

    region: str
    date: str
    source: str
    firehose_gb: float
    s3_gb_month: float
    s3_put: float
    s3_get: float
    lambda_gb_second: float
    lambda_request: float
    glue_dpu_hour: float
    glue_catalog_object_month: float
    athena_byte: float
    logs_ingested_gb: float
    logs_gb_month: float
    alarm_month: float


def load_prices(path: Path | None = None) -> Prices:
    """The shipped table, or one of the same shape.

    Raises:
        DeclarationError naming file, line and key.
    """
    if path is not None:
        return _read(load_file(path))
    text = resources.files("lakelet.watch").joinpath("prices.toml").read_text("utf-8")
    return _read(load(text, "prices.toml"))


def _read(root: Section) -> Prices:
    about, firehose, s3 = root.section("about"), root.section("firehose"), root.section("s3")
    function, glue, athena = root.section("lambda"), root.section("glue"), root.section("athena")
    cloudwatch = root.section("cloudwatch")

    def price(section: Section, key: str) -> float:
        return section.take(key, float, least=0, required=True)

    prices = Prices(
        region=about.take("region", str, required=True),
        date=about.take("date", str, required=True),
        source=about.take("source", str, required=True),
        firehose_gb=price(firehose, "ingested_gb"),
        s3_gb_month=price(s3, "storage_gb_month"),
        s3_put=price(s3, "put_thousand") / 1000,
        s3_get=price(s3, "get_thousand") / 1000,
        lambda_gb_second=price(function, "gb_second"),
        lambda_request=price(function, "request_million") / 1e6,
        glue_dpu_hour=price(glue, "dpu_hour"),
        glue_catalog_object_month=price(glue, "catalog_objects_100k_month") / 1e5,
        athena_byte=price(athena, "scanned_tb") / 1e12,
        logs_ingested_gb=price(cloudwatch, "logs_ingested_gb"),
        logs_gb_month=price(cloudwatch, "logs_stored_gb_month"),
        alarm_month=price(cloudwatch, "alarm_month"),
    )
    for section in (root, about, firehose, s3, function, glue, athena, cloudwatch):
        section.finish()
    return prices
