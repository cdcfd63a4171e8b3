"""What several of the room's tests need, and takes time to make."""

import contextlib
import json
import shutil
import subprocess

import pytest

from tests.browser import NoChromium, launch


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium under Playwright; skipped, with the way to get it, where there is none.

    Not for the session: Playwright's loop counts as running as long as it lives,
    and other modules call `asyncio.run`.
    """
    try:
        with launch() as browser:
            yield browser
    except NoChromium as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def segment_packages(tmp_path_factory):
    """Segment's JavaScript libraries from npm, installed once for a test session."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("needs node and npm on the PATH: apt-get install nodejs npm")
    folder = tmp_path_factory.mktemp("segment")
    (folder / "package.json").write_text(json.dumps({"private": True}))
    packages = ["@segment/analytics-node@3.1.0", "@segment/analytics-next@1.84.3"]
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
    done = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90)
    if done is None or done.returncode:
        reason = done.stderr.strip()[-300:] if done else "no answer within 90 s"
        pytest.skip(f"npm could not install {' '.join(packages)}: {reason}")
    return folder
