"""The unit and the container: what can be checked of them without systemd or a daemon."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
UNIT = (PACKAGING / "lakelet.service").read_text()
DOCKERFILE = (PACKAGING / "Dockerfile").read_text()
LAKELET = Path(sys.executable).with_name("lakelet")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / "lakelet.service"
    unit.write_text(UNIT.replace("/opt/lakelet/bin/lakelet", str(LAKELET)))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=30
    )
    ours = [line for line in done.stderr.splitlines() if "lakelet" in line]
    assert ours == []


def test_every_command_line_is_one_that_lakelet_knows():
    for line in re.findall(r"^Exec\w+=\S+/lakelet (.*)$", UNIT, re.MULTILINE):
        command, *options = line.split()
        done = subprocess.run([LAKELET, command, "--help"], capture_output=True, text=True)
        for option in options:
            assert not option.startswith("--") or option in done.stdout, (line, option)


def test_the_container_is_not_root_and_keeps_its_lake_in_a_volume():
    steps = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line[:1].isupper()]
    last = {word: rest for word, rest in steps if word.isupper()}
    assert last["USER"].split(":")[0].isdigit() and not last["USER"].startswith("0")
    assert last["VOLUME"] == "/data" and last["STOPSIGNAL"] == "SIGTERM"
    assert steps.index(["USER", last["USER"]]) > max(
        i for i, (word, _) in enumerate(steps) if word == "RUN"
    )
    copied = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
    for name in (part for line in copied for part in line.split()[:-1]):
        assert (PACKAGING.parent / name).exists()
