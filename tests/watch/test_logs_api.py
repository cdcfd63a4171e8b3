"""The CloudWatch Logs API, with boto3 as the other side, and the AWS CLI once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from lakelet.testing.clock import ManualClock
from tests.watch.doors import client, served

GROUP = "/lakelet/delivery"


@pytest.fixture(scope="module")
def door():
    clock = ManualClock()
    with served(clock) as (watch, endpoint):
        start_ms = int(clock.now().timestamp() * 1000)
        for n in range(25):
            level = "ERROR" if n % 10 == 0 else "INFO"
            watch.logs.append("delivery", start_ms + n, json.dumps({"level": level, "n": n}))
        watch.logs.append("crawler", start_ms, json.dumps({"level": "INFO"}))
        yield endpoint, start_ms, client("logs", endpoint)


def numbers(events) -> list[int]:
    return [json.loads(event["message"])["n"] for event in events]


def test_components_are_groups(door):
    _endpoint, _start, logs = door
    groups = logs.describe_log_groups(logGroupNamePrefix="/lakelet")["logGroups"]
    assert [group["logGroupName"] for group in groups] == ["/lakelet/crawler", GROUP]
    assert groups[1]["storedBytes"] > 100 and groups[1]["retentionInDays"] == 7
    (stream,) = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime")["logStreams"]
    assert stream["logStreamName"] == "2026/03/09/node"


def test_filtering_pages_through_everything_once(door):
    _endpoint, start_ms, logs = door
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, startTime=start_ms + 3, PaginationConfig={"PageSize": 7}
    )
    assert [n for page in pages for n in numbers(page["events"])] == list(range(3, 25))
    found = logs.filter_log_events(logGroupName=GROUP, filterPattern='{ $.level = "ERROR" }')
    assert numbers(found["events"]) == [0, 10, 20]
    assert len({event["eventId"] for event in found["events"]}) == 3


def test_following_as_the_cli_does_sees_each_line_once(door):
    """`aws logs tail --follow` (CLI 2) asks by interleaved pages and start times."""
    _endpoint, start_ms, logs = door
    first = logs.filter_log_events(logGroupName=GROUP, startTime=start_ms, interleaved=True)
    last = first["events"][-1]["timestamp"]
    again = logs.filter_log_events(logGroupName=GROUP, startTime=last, interleaved=True)
    assert [e["eventId"] for e in again["events"]] == [first["events"][-1]["eventId"]]


def test_get_log_events_walks_both_ways_and_stands_still_at_the_end(door):
    _endpoint, _start, logs = door
    names = {"logGroupName": GROUP, "logStreamName": "2026/03/09/node", "limit": 10}
    tail = logs.get_log_events(**names)
    assert numbers(tail["events"]) == list(range(15, 25))
    earlier = logs.get_log_events(**names, nextToken=tail["nextBackwardToken"])
    assert numbers(earlier["events"]) == list(range(5, 15))
    end = logs.get_log_events(**names, nextToken=tail["nextForwardToken"])
    assert end["events"] == [] and end["nextForwardToken"] == tail["nextForwardToken"]
    head = logs.get_log_events(**names, startFromHead=True)
    assert numbers(head["events"]) == list(range(10))


def test_a_users_own_group(door):
    _endpoint, start_ms, logs = door
    logs.create_log_group(logGroupName="shop")
    logs.create_log_stream(logGroupName="shop", logStreamName="web")
    logs.put_log_events(
        logGroupName="shop",
        logStreamName="web",
        logEvents=[{"timestamp": start_ms, "message": "hello"}],
    )
    logs.put_retention_policy(logGroupName="shop", retentionInDays=30)
    found = logs.filter_log_events(logGroupIdentifier="arn:aws:logs:x:0:log-group:shop")
    assert [event["message"] for event in found["events"]] == ["hello"]
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName="shop")
    logs.delete_log_group(logGroupName="shop")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.filter_log_events(logGroupName="shop")


@pytest.mark.parametrize("arguments", [{"filterPattern": "{ $.a"}, {"nextToken": "f/nonsense"}])
def test_what_cannot_be_read_is_refused(door, arguments):
    _endpoint, _start, logs = door
    with pytest.raises(ClientError) as caught:
        logs._make_api_call("FilterLogEvents", {"logGroupName": GROUP, **arguments})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_the_aws_cli_reads_it(door):
    endpoint, start_ms, _logs = door
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
    answer = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("aws")), "logs", "filter-log-events"),
            *("--log-group-name", GROUP, "--start-time", str(start_ms + 20)),
            *("--endpoint-url", endpoint, "--region", "us-east-1", "--output", "json"),
        ],
        env={**os.environ, **keys},
        capture_output=True,
        check=True,
    )
    assert numbers(json.loads(answer.stdout)["events"]) == [20, 21, 22, 23, 24]
