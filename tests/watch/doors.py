"""A watch room behind real HTTP, for boto3 and the CLI to speak to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import botocore.session
import uvicorn
from botocore.config import Config

from lakelet.testing.clock import ManualClock
from lakelet.watch.room import Watch, open_watch
from lakelet.wire.app import build_app
from lakelet.wire.cloudwatch import cloudwatch_service
from lakelet.wire.logs import logs_service


@contextmanager
def served(clock: ManualClock) -> Iterator[tuple[Watch, str]]:
    """The room and the endpoint it answers at, on a free port."""
    watch = open_watch(clock, "clickstream")
    services = {"cloudwatch": cloudwatch_service(watch), "logs": logs_service(watch.logs)}
    app = build_app(services, credentials=None, clock=clock)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield watch, f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        watch.close()


def client(service: str, endpoint: str, *, protocol: str | None = None):
    """A boto3 client; `protocol` makes it speak another of the service's."""
    session = botocore.session.get_session()
    if protocol:
        loader = session.get_component("data_loader")
        load = loader.load_service_model

        def only_one(name: str, kind: str, *rest, **options):
            model = load(name, kind, *rest, **options)
            if kind == "service-2":
                model["metadata"] |= {"protocol": protocol, "protocols": [protocol]}
            return model

        loader.load_service_model = only_one
    return boto3.Session(botocore_session=session).client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False),
    )
