"""A wrong declaration is an answer: file, line, key and remedy."""

import pytest

from lakelet.model.errors import DeclarationError
from lakelet.model.pipeline import Pipeline, StreamSettings, open_document, read_pipeline
from lakelet.model.toml import load


def read(text: str) -> Pipeline:
    root = load(text, "lakelet.toml")
    pipeline = read_pipeline(root)
    root.section("contract")
    root.finish()
    return pipeline


def test_the_shipped_default_is_what_the_code_defaults_to():
    assert read_pipeline(open_document(None)) == Pipeline() == read("")


def test_every_setting_arrives():
    pipeline = read(
        """
        [pipeline]
        name = "shop"
        [stream]
        buffer_interval_seconds = 5
        buffer_size_mb = 64
        compression = "Snappy"
        prefix = "in/"
        error_prefix = "bad/!{firehose:error-output-type}/"
        append_delimiter = false
        [retention]
        raw_days = 3
        results_days = 1
        [crawler]
        after_new_data = false
        schedule = ""
        [workgroup]
        bytes_scanned_cutoff = 10000000
        """
    )
    assert pipeline.stream == StreamSettings(
        5, 64, "Snappy", "in/", "bad/!{firehose:error-output-type}/", False
    )
    assert (pipeline.retention.raw_days, pipeline.retention.results_days) == (3, 1)
    assert (pipeline.crawler.after_new_data, pipeline.crawler.schedule) == (False, "")
    assert pipeline.workgroup.bytes_scanned_cutoff == 10_000_000
    assert pipeline.buckets == ("shop-raw", "shop-transformed", "shop-results", "shop-scripts")
    assert (pipeline.database, pipeline.workgroup_name) == ("shop", "shop")


def test_a_name_with_hyphens_makes_a_database_sql_can_say():
    assert read('[pipeline]\nname = "web-shop"').database == "web_shop"


@pytest.mark.parametrize(
    ("text", "line", "says", "remedy"),
    [
        ("[stream]\n\nbuffer_size_mb = 300", 3, "300 is out of range", "1 to 128"),
        ('[stream]\nbuffer_size_mb = "5"', 2, "'5' is not a whole number", "type"),
        ("[stream]\nbuffer_size_mb = true", 2, "True is not a whole number", "type"),
        ("[stream]\nbufer_size_mb = 5", 2, "`bufer_size_mb` is not", "`buffer_size_mb`"),
        ("\n[strem]\n", 2, "`strem` is not", "`stream`"),
        ('[stream]\ncompression = "gzip"', 2, "'gzip' is not known", "GZIP"),
        ('[pipeline]\nname = "Click Stream"', 2, "not a valid name", "must match"),
        ("stream = 3", 1, "3 is not a table", "type"),
        ("version = 2", 1, "2 is out of range", "1 to 1"),
    ],
)
def test_what_is_wrong_is_named(text: str, line: int, says: str, remedy: str):
    with pytest.raises(DeclarationError) as caught:
        read(text)
    assert f"lakelet.toml, line {line}:" in caught.value.message
    assert says in caught.value.message
    assert remedy in caught.value.hint


def test_broken_toml_names_the_place():
    with pytest.raises(DeclarationError, match=r"lakelet\.toml: .*line 2"):
        load("[stream]\nbuffer_size_mb = = 5", "lakelet.toml")


def test_a_missing_file_says_how_to_write_one(tmp_path):
    with pytest.raises(DeclarationError) as caught:
        open_document(tmp_path / "none.toml")
    assert "lakelet init" in caught.value.hint
