"""Debian's chromium for the browser tests: found, or installed once where we are root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

_NAMES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
_HOW = "install it (Debian: apt-get install chromium) or name one in LAKELET_CHROMIUM"


class NoChromium(Exception):
    """There is none, and none can be had; the message says what to do."""


@cache
def chromium() -> Path:
    """The browser's path. Raises NoChromium.

    Source: Playwright's own builds come from a host that a closed network does
    not reach; Debian's speak the same protocol.
    """
    named = os.environ.get("LAKELET_CHROMIUM")
    for name in (named,) if named else _NAMES:
        if Path(name).is_file():
            return Path(name)
    if named or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoChromium(f"no chromium found: {_HOW}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise NoChromium(f"`{' '.join(command)}` failed: {done.stderr.strip()[-300:]}; {_HOW}")
    return Path(_NAMES[0])


@contextmanager
def launch() -> Iterator[Any]:
    """A Playwright `Browser` of the sync API. Raises NoChromium."""
    path = chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoChromium("no Playwright: install the dev dependencies (uv sync)") from error
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
