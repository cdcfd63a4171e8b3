"""A lake whose node runs in another process, reached through its control door."""

import http.client
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lakelet.model.errors import DataFolderError, LakeletError, Outcome
from lakelet.node.folder import DataFolder, Holder
from lakelet.node.lake import Progress

if TYPE_CHECKING:
    import pyarrow as pa

CONTROL_PREFIX = "/_lakelet/"
_TIMEOUT_SECONDS = 3600  # a reprocess of a month may be quiet for long


class RemoteError(LakeletError):
    """An error of the node, told again here."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class NodeUnreachable(DataFolderError):
    code = "node.unreachable"
    outcome = Outcome.UNKNOWN


class HttpCaller:
    """Speaks to `node.control`: JSON in, NDJSON out (progress lines, then a result)."""

    def __init__(
        self, folder: DataFolder, holder: Holder, *, timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        self._folder, self._holder = folder, holder
        self._timeout_seconds = timeout_seconds

    def call(
        self, name: str, arguments: Mapping[str, Any], on_progress: Progress | None = None
    ) -> Any:
        with self._post(f"call/{name}", dict(arguments)) as response:
            for line in response:
                message = json.loads(line)
                if "result" in message:
                    return message["result"]
                if "error" in message:
                    raise RemoteError(**message["error"])
                if on_progress:
                    on_progress(message["progress"])
        raise self._unreachable("it closed the connection before it had answered")

    def query(self, sql: str, database: str | None) -> "pa.Table":
        import pyarrow as pa

        with self._post("query", {"sql": sql, "database": database}) as response:
            if response.headers.get("Content-Type", "").startswith("application/json"):
                raise RemoteError(**json.loads(response.read())["error"])
            return pa.ipc.open_stream(response).read_all()

    def put(self, records: list[bytes], stream: str | None = None) -> int:
        from lakelet.node.exports import make_producer
        from lakelet.producer import Failure, ProducerError

        failures: list[Failure] = []
        with make_producer(self._folder, None, stream, failures.append) as producer:
            for record in records:
                producer.send(record)
            producer.flush()
        lost = sum(len(failure.records) for failure in failures)
        if lost:
            raise ProducerError(
                f"{lost:,} of {len(records):,} records were not accepted: {failures[0].error}",
                hint="The others were. Mend the cause and send only those again.",
            )
        return len(records)

    def close(self) -> None:
        """Nothing is held: each call has its own connection."""

    def _post(self, path: str, body: Mapping[str, Any]) -> http.client.HTTPResponse:
        address = urlsplit(self._holder.endpoint)
        connection = http.client.HTTPConnection(
            address.hostname or "127.0.0.1", address.port, timeout=self._timeout_seconds
        )
        headers = {
            "Authorization": f"Bearer {self._holder.token}",
            "Content-Type": "application/json",
            "Connection": "close",
        }
        try:
            connection.request("POST", CONTROL_PREFIX + path, json.dumps(body), headers)
            response = connection.getresponse()
        except OSError as error:
            raise self._unreachable(str(error)) from error
        if response.status != 200:
            raise self._unreachable(f"it answered {response.status} {response.reason}")
        return response

    def _unreachable(self, why: str) -> NodeUnreachable:
        return NodeUnreachable(
            f"the node of {self._folder.root} (process {self._holder.pid}, "
            f"{self._holder.endpoint}) cannot be reached: {why}",
            hint="Look at its log; if it hangs, stop that process: what it acknowledged is safe.",
        )
