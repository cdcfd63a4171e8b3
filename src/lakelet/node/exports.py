"""What a client needs to reach a node: endpoint, region and keys."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lakelet.model.errors import DataFolderError
from lakelet.node.folder import DataFolder

if TYPE_CHECKING:
    from lakelet.producer import Producer
    from lakelet.producer.settings import OnError

REGION = "us-east-1"


def client_environment(folder: DataFolder, endpoint: str) -> dict[str, str]:
    """The variables every AWS SDK reads.

    Raises:
        DataFolderError where the folder holds no keys: no node ever ran on it.
    """
    try:
        keys = json.loads(folder.keys.read_text())
        return {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": keys["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }
    except (OSError, ValueError, KeyError) as error:
        raise DataFolderError(
            f"{folder.root} holds no keys of a node",
            hint=f"A node makes them at its first start: lakelet up --data {folder.root}",
        ) from error


def running_environment(data: Path) -> dict[str, str]:
    """As `client_environment`, for the node that holds `data` now."""
    folder = DataFolder(data)
    holder = folder.running()
    if not holder or not holder.endpoint:
        raise DataFolderError(
            f"no node is running on {folder.root}",
            hint=f"Start it: lakelet up --data {data}",
        )
    return client_environment(folder, holder.endpoint)


def make_producer(
    folder: DataFolder,
    endpoint_url: str | None,
    stream: str | None,
    on_error: "OnError | None" = None,
) -> "Producer":
    """A producer for the node's own stream, or for any Firehose endpoint.

    Nothing is spooled: whoever calls is there to be told. Records become lines, by whichever of
    the two sees to it, the stream or we.
    """
    from lakelet.contract import load_declaration
    from lakelet.producer import Encoding, Producer, ProducerSettings
    from lakelet.producer.firehose import line_delimiter, make_client

    declared = folder.declaration if folder.declaration.exists() else None
    name = stream or load_declaration(declared).pipeline.name
    session = None
    if not endpoint_url:
        import boto3

        keys = running_environment(folder.root)
        session = boto3.session.Session(
            keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], region_name=REGION
        )
        endpoint_url = keys["AWS_ENDPOINT_URL"]
    client = make_client(session=session, endpoint_url=endpoint_url)
    encoding = Encoding(None, None, line_delimiter(client, name))
    settings = ProducerSettings(encoding=encoding, close_seconds=600)
    return Producer(name, settings, client=client, on_error=on_error)
