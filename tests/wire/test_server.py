"""Sockets, and the node's own keys."""

import json
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakelet.model.errors import DataFolderError
from lakelet.store.clock import SystemClock
from lakelet.wire.app import build_app
from lakelet.wire.credentials import load_or_create, new_credentials
from lakelet.wire.server import PortInUse, ServerFailed, ServerThread, listen


def app() -> Any:
    return build_app({}, credentials=None, clock=SystemClock())


def test_a_server_starts_answers_and_stops() -> None:
    server = ServerThread(app()).start()
    assert server.url == f"http://127.0.0.1:{server.port}"
    answer = httpx.get(server.url)
    assert (answer.status_code, answer.text[:18]) == (404, "Not an AWS request")
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_port_in_use() -> None:
    with ServerThread(app()) as server:
        with pytest.raises(PortInUse) as caught:
            listen("127.0.0.1", server.port)
        assert str(server.port) in caught.value.message
        assert f"--port {server.port + 1}" in caught.value.hint


def test_a_host_that_is_not_ours() -> None:
    with pytest.raises(ServerFailed, match=r"192\.0\.2\.1"):
        listen("192.0.2.1")


def test_an_application_that_cannot_start() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "broken"})

    with pytest.raises(ServerFailed) as caught:
        ServerThread(broken).start()
    assert caught.value.hint


def test_a_client_that_leaves_in_the_middle_of_its_body() -> None:
    """Nobody is answered, nothing is logged as our fault, and the next one is served."""
    with ServerThread(app()) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as leaving:
            leaving.sendall(
                b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
                b"x-amz-target: AWSGlue.GetTable\r\n\r\nhalf"
            )
        assert httpx.get(server.url).status_code == 404


def test_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "lake" / "keys.json"
    made = load_or_create(path)
    assert load_or_create(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (made.access_key_id[:4], len(made.access_key_id), len(made.secret)) == ("AKIA", 20, 40)
    assert made.secret not in repr(made)
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]
    assert json.loads(path.read_text()) == {
        "access_key_id": made.access_key_id,
        "secret_access_key": made.secret,
    }


def test_of_two_first_starts_both_get_the_same_keys(tmp_path: Path) -> None:
    found: list[Any] = []
    path = tmp_path / "keys.json"
    threads = [
        threading.Thread(target=lambda: found.append(load_or_create(path))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_no_two_nodes_have_the_same_keys() -> None:
    assert new_credentials() != new_credentials()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"access_key_id": "x"}'])
def test_a_spoilt_key_file_is_not_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(DataFolderError) as caught:
        load_or_create(path)
    assert str(path) in caught.value.message
    assert path.read_text() == content


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match="cannot be read: Not a directory"):
        load_or_create(tmp_path / "file" / "keys.json")
