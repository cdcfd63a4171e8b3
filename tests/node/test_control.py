"""The node's own door, as a caller meets it that gets something wrong."""

import json

import httpx
import pytest

from lakelet.node.arguments import WrongArguments
from lakelet.node.folder import DataFolder
from lakelet.node.operations import run_operation
from lakelet.testing.node import running_node


@pytest.fixture(scope="module")
def post(tmp_path_factory):
    """A body to a path of the door; its status and the last line of the answer."""
    with running_node(tmp_path_factory.mktemp("lakes") / "lake") as node:
        holder = DataFolder(node.folder).running()
        assert holder

        def call(path: str, body: str) -> tuple[int, dict]:
            answer = httpx.post(
                f"{holder.endpoint}/_lakelet/{path}",
                content=body,
                headers={"Authorization": f"Bearer {holder.token}"},
                timeout=60,
            )
            return answer.status_code, json.loads(answer.text.splitlines()[-1])

        yield call


@pytest.mark.parametrize(
    ("path", "body", "message", "hint"),
    [
        ("call/status", '{"bogus": 1}', "status has no argument bogus", "It takes none"),
        ("call/status", '{"node": 1}', "status has no argument node", "It takes none"),
        ("call/faults", '{"given": [1]}', "given of faults is [1]", "an object or null"),
        ("call/faults", '{"stream": 1}', "stream of faults is 1", "a text or null"),
        ("call/audit", '{"deep": 1}', "deep of audit is 1", "true or false"),
        ("call/audit", '{"day": true}', "day of audit is true", "a text or null"),
        ("call/reprocess", '{"last": "x"}', "reprocess lacks the argument first", "first, last"),
        ("call/audit", "[1]", "the arguments of audit are [1]", "An object is wanted"),
        ("call/contract_check", '{"contract": "{}"}', "is no contract", "Contract.to_json"),
        ("query", "{}", "query lacks the argument sql", "sql, database"),
        ("query", '{"sql": 5}', "sql of query is 5", "a text"),
        ("query", "7", "the arguments of query are 7", "An object is wanted"),
    ],
)
def test_wrong_arguments_are_the_callers_and_named(post, path, body, message, hint):
    status, answer = post(path, body)
    assert (status, answer["error"]["code"]) == (200, "node.arguments")
    assert message in answer["error"]["message"]
    assert hint in answer["error"]["hint"]


def test_right_ones_are_let_through(post):
    assert post("call/faults", '{"stream": null, "given": {}}')[1]["result"]["fail_count"] == 0
    assert post("call/audit", "{}")[1]["result"]["balanced"]
    assert post("call/status", "")[1]["result"]["stream"]["name"] == "clickstream"


@pytest.mark.parametrize("body", ["{", "[" * 100_000])
def test_what_is_no_json_is_a_bad_request(post, body):
    status, answer = post("call/status", body)
    assert (status, answer["error"]["code"]) == (400, "node.json")


def test_in_this_process_too():
    with pytest.raises(WrongArguments, match="no argument bogus"):
        run_operation(None, "status", {"bogus": 1})
