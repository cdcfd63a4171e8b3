"""One producer of the crash harness: sends unique records, and notes which were acknowledged.

    python -m tests.crash.producer PORT NAME SEED FOLDER

A record that got no answer is never sent again: so it may be in the lake once or not at all,
and an acknowledged one exactly once. It runs until FOLDER/stop exists.
"""

import base64
import http.client
import json
import random
import sys
import time
from pathlib import Path

HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "Firehose_20150804.PutRecordBatch",
}
_RETRY_SECONDS = 0.01


def run(port: int, name: str, seed: int, folder: Path) -> None:
    chance = random.Random(f"{seed}-{name}")
    number = 0
    connection: http.client.HTTPConnection | None = None
    with (folder / f"{name}.acknowledged").open("w", buffering=1) as acknowledged:
        while not (folder / "stop").exists():
            count = chance.choice((1, 2, 10, 100, 500))
            first, number = number, number + count
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                failed = send(connection, name, first, count, chance)
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                time.sleep(_RETRY_SECONDS)  # the node is down, as it should be now and then
                continue
            if failed is not None:
                kept = [first + i for i in range(count) if i not in failed]
                acknowledged.writelines(f"{name}-{each}\n" for each in kept)


def send(
    connection: http.client.HTTPConnection,
    name: str,
    first: int,
    count: int,
    chance: random.Random,
) -> set[int] | None:
    """Indices that failed; None where the whole request was refused."""
    records = []
    for number in range(first, first + count):
        filler = "x" * chance.randrange(800)
        event = {"event_id": f"{name}-{number}", "event_type": "page_view", "filler": filler}
        event["timestamp"] = "2026-03-09T14:00:00Z"
        records.append({"Data": base64.b64encode(json.dumps(event).encode()).decode()})
    body = json.dumps({"DeliveryStreamName": "clickstream", "Records": records})
    connection.request("POST", "/", body, HEADERS)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        return None
    responses = json.loads(content)["RequestResponses"]
    return {i for i, each in enumerate(responses) if "RecordId" not in each}


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
