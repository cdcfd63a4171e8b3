"""Journeys through the console in a real browser, and what axe says of each page.

Set LAKELET_SCREENSHOTS to a folder to look at what was seen.
"""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from lakelet.testing.traffic import generate
from tests.browser import NoChromium, launch
from tests.console.lakes import link, served_console, small_lake

pytestmark = pytest.mark.browser
PAGES = ("/", "/live", "/data", "/query", "/insights", "/health")
SIZES = {"desk": {"width": 1366, "height": 860}, "phone": {"width": 390, "height": 844}}
AXE = "axe-core@4.14.1"
# In the dark only the colours differ.
AXE_RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "dark": ["color-contrast"],
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with small_lake(tmp_path_factory.mktemp("lakes") / "lake", events=6_000) as node:
        yield node


@pytest.fixture(scope="module")
def address(lake):
    with served_console(lake) as at:
        yield at


@pytest.fixture(scope="module")
def browser():
    try:
        with launch() as made:
            yield made
    except NoChromium as error:
        pytest.skip(str(error))


@pytest.fixture
def open_page(browser, lake, address):
    """Opens pages in a logged-in window, and fails the test on a script's error."""
    contexts, problems = [], []

    ours = (address, address.replace("http", "ws"), "data:", "blob:")

    def strangers(url: str) -> list[str]:
        return [] if url.startswith(ours) else [f"left the house: {url}"]

    def open_one(path: str, *, size: str = "desk", **options):
        context = browser.new_context(viewport=SIZES[size], **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(
                    (address, address.replace("http", "ws"), "data:", "blob:")
                )
                else problems.append(f"left the house: {request.url}")
            ),
        )
        page.goto(link(lake, address))
        page.goto(address + path)
        page.get_by_role("heading", level=1).wait_for()
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert problems == []


def seen(page, name: str) -> None:
    if folder := os.environ.get("LAKELET_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_the_overview_draws_the_road_and_leads_on(open_page):
    page = open_page("/")
    stages = page.locator(".lk-stage h3")
    assert stages.all_text_contents() == [
        *("Sources", "Stream", "Raw zone", "Transform"),
        *("Transformed", "Crawler", "Catalog", "SQL"),
    ]
    page.get_by_text("Every event is accounted for").wait_for()
    seen(page, "overview")
    page.get_by_role("heading", name="SQL").click()
    page.get_by_role("heading", level=1, name="Query").wait_for()


def test_a_query_runs_is_charted_and_remembered(open_page, lake):
    page = open_page("/query")
    page.get_by_role("button", name="Run").click()
    page.get_by_text("rows in").wait_for()
    page.locator(".ag-cell").get_by_text("page_view").first.wait_for()
    page.locator(".lk-chart svg").wait_for()
    page.get_by_role("combobox", name="Chart").click()
    page.get_by_role("option", name="pie").click()
    page.locator(".lk-chart svg path").first.wait_for()
    seen(page, "query")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert Path(download.value.path()).read_text().splitlines()[0] == '"event_type","events"'
    page.reload()
    page.get_by_role("button", name="Run").click()
    chosen = page.get_by_role("combobox", name="Chart")
    chosen.wait_for()
    assert chosen.input_value() == "pie"


def write_sql(page, sql: str) -> None:
    editor = page.get_by_role("textbox", name="SQL")
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(sql)


def test_a_mistake_is_answered_in_words_and_ctrl_enter_runs(open_page):
    page = open_page("/query")
    write_sql(page, "SELECT nothing FROM events")
    page.keyboard.press("Control+Enter")
    page.get_by_role("alert").get_by_text("COLUMN_NOT_FOUND").wait_for()


def test_the_editor_knows_the_catalog(open_page):
    page = open_page("/query")
    write_sql(page, "SELECT ")
    page.keyboard.type("product_ca", delay=20)
    page.locator(".cm-tooltip-autocomplete").get_by_text("product_category").wait_for()


def test_a_query_is_planned_priced_saved_and_copied(open_page):
    page = open_page("/query")
    write_sql(page, "SELECT city FROM events WHERE day = '01'")
    page.get_by_role("button", name="Plan").click()
    page.locator("pre").get_by_text("files").first.wait_for()
    page.get_by_role("button", name="Price").click()
    page.get_by_text("It would scan").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Name of the query").fill("First days")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    write_sql(page, "SELECT 1")
    page.get_by_role("button", name="First days").click()
    page.get_by_role("textbox", name="SQL").get_by_text("city").wait_for()
    page.get_by_role("button", name="Copy as Python").click()
    page.get_by_role("dialog").get_by_text("pyathena").first.wait_for()


def test_dark_and_light_are_remembered(open_page):
    page = open_page("/", color_scheme="light")
    with page.expect_navigation():
        page.get_by_role("button", name="Light or dark").click()
    page.locator("body.body--dark").wait_for()
    page.goto(page.url + "health")
    page.locator("body.body--dark").wait_for()


def test_a_long_query_can_be_cancelled(open_page, lake):
    page = open_page("/query")
    write_sql(
        page, "SELECT count(*) FROM events a, events b, events c WHERE a.hour + b.hour > c.hour"
    )
    page.get_by_role("button", name="Run").click()
    page.get_by_text("running,").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("alert").wait_for()
    page.get_by_text("cancelled").first.wait_for()


def test_a_hundred_thousand_rows_scroll(open_page):
    page = open_page("/query")
    write_sql(page, "SELECT a.event_id, b.city FROM events a CROSS JOIN "
                    "(SELECT city FROM events LIMIT 20) b ORDER BY 1")  # fmt: skip
    page.get_by_role("button", name="Run").click()
    page.locator(".ag-cell").first.wait_for()
    tall = "document.querySelector('.ag-body-viewport').scrollHeight > 1e6"
    page.wait_for_function(tall)  # the first block tells how many rows there are
    page.evaluate("document.querySelector('.ag-body-viewport').scrollTop = 1e9")
    page.wait_for_function(
        "[...document.querySelectorAll('.ag-row')].some(r => r.getAttribute('row-index') > 100000"
        " && r.querySelector('.ag-cell').textContent)"
    )


def test_live_shows_what_arrives_masked_filtered_and_paused(open_page, lake):
    page = open_page("/live")
    event = {"event_id": "z", "event_type": "zebra", "email": "ada@example.com"}
    lake.put([json.dumps(event).encode(), *generate(20, seed=5)])
    page.get_by_text("zebra").wait_for()
    page.get_by_label("Find").fill("zebra")
    page.wait_for_function("document.querySelectorAll('.lk-tail tbody tr').length === 1")
    page.get_by_text("3 more").or_(page.get_by_text("2 more")).first.click()
    assert "ada@" not in page.content() and "•••" in page.content()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("paused").wait_for()
    seen(page, "live")
    lake.flush()


def test_data_walks_to_an_object(open_page):
    page = open_page("/data")
    page.get_by_role("img", name="Bytes by the day").first.wait_for()
    page.get_by_role("link", name="events/").click()
    for _ in range(3):
        page.locator("table a").first.click()
    page.locator("table a", has_text=".parquet").first.click()
    page.get_by_text("row groups:").wait_for()
    seen(page, "data")
    page.goto(page.url.split("?")[0])
    page.get_by_role("button", name="Look at the columns").last.click()
    page.get_by_text("Distinct, about").wait_for()


def test_raw_originals_are_shown_only_when_asked_for(open_page, lake):
    (raw, *_) = lake.store.list(lake.pipeline.raw_bucket, "year=")
    path = f"/data?bucket={lake.pipeline.raw_bucket}&prefix=&key={raw.key}"
    page = open_page(path)
    page.get_by_text("personal data as it was sent").wait_for()
    assert "event_type" not in page.locator("#preview").text_content()
    page.get_by_role("button", name="Show the original").click()
    page.locator("#preview pre").get_by_text("event_type").first.wait_for()


def test_health_shows_samples_and_audits(open_page):
    page = open_page("/health")
    page.get_by_role("button", name="Samples").first.click()
    page.get_by_text("The newest with reason").wait_for()
    page.get_by_role("button", name="Audit now").click()
    page.get_by_text("accepted", exact=False).last.wait_for()
    seen(page, "health")


def test_a_replay_is_tried_before_it_is_done(open_page):
    page = open_page("/health")
    page.get_by_role("button", name="Replay …").first.click()
    page.get_by_text('"dry_run": true').wait_for()
    page.get_by_role("button", name="Replay for good").click()
    page.get_by_text('"dry_run": false').wait_for()


def test_insights_narrow_to_a_segment(open_page):
    page = open_page("/insights")
    page.wait_for_function("document.querySelectorAll('.lk-chart svg').length >= 6")
    seen(page, "insights")
    page.get_by_label("Only those of a").click()
    page.get_by_role("option", name="country").click()
    page.wait_for_url("**segment=country**")
    page.get_by_label("country", exact=True).click()
    page.get_by_role("option", name="DE").click()
    page.wait_for_url("**value=DE**")


def test_keys_go_places_and_help_opens(open_page):
    page = open_page("/")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.get_by_role("heading", level=1, name="Health").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()


def test_a_phone_shows_every_page_at_its_width(open_page, address):
    page = open_page("/", size="phone")
    for path in PAGES:
        page.goto(address + path)
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_timeout(300)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= SIZES["phone"]["width"], path
        seen(page, f"phone{path.replace('/', '-')}")


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """axe-core's script, from npm."""
    if not shutil.which("npm"):
        pytest.skip("npm is not here to fetch axe-core")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        ["npm", "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True, timeout=90
    )
    if packed.returncode:
        pytest.skip(f"axe-core cannot be fetched: {packed.stderr[-200:]}")
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_mend(open_page, axe, scheme):
    found = {}
    page = open_page("/", color_scheme=scheme)
    origin = page.url.rstrip("/")
    for path in PAGES:
        page.goto(origin + path)
        page.get_by_role("heading", level=1).wait_for()
        if path == "/query":
            page.get_by_role("button", name="Run").click()
            page.get_by_text("rows in").wait_for()
        page.wait_for_timeout(700)
        seen(page, f"{scheme}{path.replace('/', '-')}")
        page.evaluate(axe)
        report = page.evaluate(f"axe.run({{runOnly: {json.dumps(AXE_RULES[scheme])}}})")
        for one in report["violations"]:
            found[f"{path} {one['id']}"] = [node["html"][:160] for node in one["nodes"][:4]]
    assert found == {}
