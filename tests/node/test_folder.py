"""One node a folder; a killed one leaves nothing to clean up."""

import os
import stat
import subprocess
import sys

import pytest

from lakelet.model.errors import DataFolderError
from lakelet.node.folder import DataFolder, Holder


def test_a_folder_is_made_held_and_given_back(tmp_path):
    folder = DataFolder(tmp_path / "lake")
    assert not folder.exists()
    assert folder.running() is None
    folder.acquire()
    assert folder.exists()
    assert DataFolder(tmp_path / "lake").running() == Holder(os.getpid())
    folder.release()
    assert folder.running() is None


def test_a_second_node_is_told_who_holds_the_folder(tmp_path):
    folder = DataFolder(tmp_path)
    folder.acquire()
    folder.announce(Holder(4242, "http://127.0.0.1:4566", "secret"))
    with pytest.raises(DataFolderError) as caught:
        DataFolder(tmp_path).acquire()
    assert "process 4242 at http://127.0.0.1:4566" in caught.value.message
    assert "--data" in caught.value.hint
    folder.release()


def test_the_token_is_for_the_owner_only(tmp_path):
    folder = DataFolder(tmp_path)
    folder.acquire()
    folder.announce(Holder(1, "http://127.0.0.1:1", "secret"))
    assert stat.S_IMODE((tmp_path / "node.json").stat().st_mode) == 0o600
    folder.release()


def test_a_killed_holder_holds_nothing(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from lakelet.node.folder import DataFolder;"
        "DataFolder(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    folder = DataFolder(tmp_path)
    assert folder.running() is None
    folder.acquire()
    folder.release()


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderError, match="cannot be used") as caught:
        DataFolder(tmp_path / "file" / "lake").acquire()
    assert "--data" in caught.value.hint
