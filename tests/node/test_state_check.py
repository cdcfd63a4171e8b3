"""A damaged state file is named, with what starting without it costs."""

import pytest

import lakelet
from lakelet.node.state_check import StateDamaged, check_state

NAMES = ["catalog", "ingest", "ledger", "queries", "queue", "watch/metrics"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"x" * 8_192, b"SQLite format 3\0" + b"\xff" * 4_080])
def test_damage_is_told_with_the_way_out(tmp_path, name, content):
    path = tmp_path / f"{name}.sqlite"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(StateDamaged) as caught:
        check_state(tmp_path)
    assert str(path) in caught.value.message
    assert "move it away" in caught.value.hint


def test_a_node_does_not_start_on_it_and_lets_go_of_the_folder(tmp_path):
    lakelet.open(tmp_path).close()
    ledger = tmp_path / "state" / "ledger.sqlite"
    whole = ledger.read_bytes()
    ledger.write_bytes(b"x" * 8_192)
    with pytest.raises(StateDamaged, match=r"ledger\.sqlite is damaged") as caught:
        lakelet.open(tmp_path)
    assert "manifests" in caught.value.hint
    ledger.write_bytes(whole)
    lakelet.open(tmp_path).close()


def test_whole_state_passes(tmp_path):
    with lakelet.open(tmp_path) as lake:
        lake.put([{"event_type": "login", "user_id": "u"}])
    check_state(tmp_path / "state")
