"""AWS on the loopback: moto's S3, and Lambda's Runtime API around the real runtime client."""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import uuid
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from time import time
from urllib.request import Request, urlopen

import boto3
from moto.server import ThreadedMotoServer

from lakelet.aws.package import build_package

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
WAIT_SECONDS = 60


@contextmanager
def s3_emulator():
    """The endpoint of an S3 of our own."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    # Its state is the process's: another test's buckets would still be there.
    urlopen(Request(f"{endpoint}/moto-api/reset", method="POST")).close()
    try:
        yield endpoint
    finally:
        server.stop()


def s3_client(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )


class LambdaFunction:
    """A function's process, invoked through the Runtime API as Lambda does."""

    def __init__(self, process, events, answers):
        self._process, self._events, self._answers = process, events, answers

    def invoke(self, event, *, timeout_seconds=300.0):
        """(status, document): status is `response`, `error` or `init/error`."""
        self._events.put((str(uuid.uuid4()), json.dumps(event).encode(), timeout_seconds))
        return self._answers.get(timeout=WAIT_SECONDS)

    def log_lines(self):
        """Everything it wrote; ends it."""
        self._process.terminate()
        return self._process.communicate()[0].decode().splitlines()


@contextmanager
def lambda_function(folder, pipeline, contract, endpoint, **variables):
    """The package as it is deployed, unzipped, run by awslambdaric."""
    package = build_package(pipeline, contract)
    zipfile.ZipFile(BytesIO(package.function.body)).extractall(folder)
    events, answers = queue.Queue(), queue.Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _runtime_api(events, answers))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "transform",
        "LAMBDA_TASK_ROOT": str(folder),
        "PYTHONPATH": str(folder),
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", "lakelet.aws.handler.handler"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield LambdaFunction(process, events, answers)
    finally:
        process.kill()
        process.wait()
        if not process.stdout.closed:
            process.stdout.close()
        events.put(None)
        server.shutdown()
        server.server_close()


def _runtime_api(events, answers):
    class RuntimeApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            item = events.get()
            if item is None:
                self.close_connection = True
                return
            request_id, body, timeout_seconds = item
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
            deadline_ms = int((time() + timeout_seconds) * 1000)
            self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline_ms))
            self.send_header(
                "Lambda-Runtime-Invoked-Function-Arn",
                "arn:aws:lambda:us-east-1:123456789012:function:transform",
            )
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind = "init/error" if "init" in self.path else self.path.rsplit("/", 1)[-1]
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            answers.put((kind, json.loads(body or b"null")))

        def log_message(self, *args):
            pass

    return RuntimeApi
