"""`lakelet up` from its first line to its last."""

import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_its_last_word_is_the_farewell(tmp_path, ending):
    with subprocess.Popen(
        [sys.executable, "-m", "lakelet", "up", "--port", "0", "--data", "lake"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as node:  # fmt: skip
        try:
            said = [node.stdout.readline()]
            assert said[0].startswith("Lakelet is ready at http://127.0.0.1:")
            node.send_signal(ending)
            said += node.communicate(timeout=60)[0].splitlines()
        finally:
            node.kill()
    assert node.returncode == 0
    assert said[-1].startswith("Draining"), said
