"""What a client needs to reach a node: endpoint, region and keys."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lakelet.model.errors import DataFolderError
from lakelet.node.folder import DataFolder, Holder

if TYPE_CHECKING:
    from lakelet.producer import Producer

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


def producer_for(folder: DataFolder, holder: Holder, stream: str | None = None) -> "Producer":
    """A producer for the node's own stream; nothing is spooled, errors are raised."""
    raise NotImplementedError
