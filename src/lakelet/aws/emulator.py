"""An AWS for this machine, to try the AWS home against: ministack in a venv of its own.

For tests and `python -m lakelet.aws.demo`, never for data. It enforces IAM and bucket
policies and runs the function for real; docs/aws.md lists what it cannot show.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lakelet.model.errors import LakeletError

VERSION = "1.5.33"  # versions matter: what it enforces differs from one to the next
# The managed layer's packages stand beside it: it runs functions in its own Python.
PACKAGES = (f"ministack[full]=={VERSION}", "pyarrow==25.0.1", "awswrangler==3.17.1", "pytz")
ACCOUNT = "123456789012"
REGION = "us-east-1"
# Types its CloudFormation refuses; it deploys the same template without them.
REFUSED_TYPES = frozenset(
    {"AWS::Athena::NamedQuery", "AWS::Glue::SecurityConfiguration", "AWS::Budgets::Budget"}
)
START_TIMEOUT_SECONDS = 60.0


class EmulatorFailed(LakeletError):
    code = "aws.emulator"


class EmulatorSession:
    """As much of a boto3 session as we use, bound to the emulator."""

    def __init__(
        self,
        endpoint_url: str,
        ca_file: Path,
        credentials: tuple[str, str, str | None],
        endpoints: Mapping[str, str],
    ) -> None:
        """
        Args:
            credentials: access key, secret, session token.
            endpoints: other addresses for single services.
        """
        self.region_name = REGION
        self.endpoint_url, self._ca_file, self._endpoints = endpoint_url, ca_file, endpoints
        self._credentials = credentials
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._made(service)
        return self._clients[service]

    def variables(self) -> dict[str, str]:
        """The same account for another process, as environment variables."""
        key, secret, _ = self._credentials
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CA_BUNDLE": str(self._ca_file),
            # By address: boto3 then names buckets in the path.
            "AWS_ENDPOINT_URL": self.endpoint_url.replace("//localhost:", "//127.0.0.1:"),
        }

    def _made(self, service: str) -> Any:
        from botocore.config import Config

        endpoint = self._endpoints.get(service, self.endpoint_url)
        key, secret, token = self._credentials
        make: Any = _shared_session().client  # its overloads name every service
        return make(
            service,
            region_name=REGION,
            endpoint_url=endpoint,
            verify=str(self._ca_file) if endpoint.startswith("https") else None,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )


@cache
def _shared_session() -> Any:
    """One for all: reading the services' models is what makes clients slow to make."""
    import boto3

    return boto3.Session(region_name=REGION)


class Emulator:
    """One running ministack, gone with the `with` block."""

    def __init__(self, venv: Path, run_folder: Path) -> None:
        """
        Args:
            venv: where it is installed, or will be: kept between runs.
            run_folder: for its certificate and log.
        """
        self._venv, self._run = venv, run_folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def endpoint_url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self._run / "ministack-tls" / "server.crt"

    @property
    def log_file(self) -> Path:
        return self._run / "ministack.log"

    def session(
        self,
        access_key: str = ACCOUNT,
        secret: str = "test",  # noqa: S107 - the emulator's own for its root
        token: str | None = None,
        **endpoints: str,
    ) -> EmulatorSession:
        """By default the account's root; `endpoints`: other addresses for single services."""
        credentials = (access_key, secret, token)
        return EmulatorSession(self.endpoint_url, self.ca_file, credentials, endpoints)

    def __enter__(self) -> Self:
        install(self._venv)
        self._run.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
            and not name.startswith(("AWS_", "PYTHON"))
        }
        environment |= {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "USE_SSL": "1",
            "AUTH": "true",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            # One worker a time is kept warm; hundreds at once would swamp this machine.
            "LAMBDA_ACCOUNT_CONCURRENCY": "2",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
            "TMPDIR": str(self._run),
            "LOG_LEVEL": "WARNING",
        }
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [self._venv / "bin" / "python", "-m", "ministack"],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its function workers end with it, as one group
            )
        self._wait_until_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        # It drains connections for ten seconds when asked to end; it holds nothing of worth.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _wait_until_ready(self) -> None:
        import ssl

        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._process and self._process.poll() is not None:
                break
            try:
                context = ssl.create_default_context(cafile=str(self.ca_file))
                url = f"{self.endpoint_url}/_ministack/health"
                with urllib.request.urlopen(url, context=context, timeout=5) as answer:  # noqa: S310
                    if answer.status == 200:
                        return
            except (OSError, urllib.error.URLError):
                time.sleep(0.1)
        raise EmulatorFailed("The emulator does not start.", hint=f"Its log: {self.log_file}")


def install(venv: Path) -> None:
    """Make the venv where it is not there yet: a minute, once.

    Raises:
        EmulatorFailed with the installer's last words.
    """
    done = venv / f".installed-{VERSION}"
    if done.exists():
        return
    shutil.rmtree(venv, ignore_errors=True)
    venv.parent.mkdir(parents=True, exist_ok=True)
    python = str(venv / "bin" / "python")
    uv = shutil.which("uv")
    steps = [
        [uv, "venv", "-q", "--python", sys.executable, str(venv)]
        if uv
        else [sys.executable, "-m", "venv", str(venv)],
        [uv, "pip", "install", "-q", "--python", python, *PACKAGES]
        if uv
        else [python, "-m", "pip", "install", "-q", *PACKAGES],
    ]
    for step in steps:
        ended = subprocess.run(step, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise EmulatorFailed(
                f"{' '.join(step[:3])} failed: {ended.stderr.strip()[-500:]}",
                hint="It needs PyPI, once; then the folder .cache/ministack is enough.",
            )
    done.touch()


def without_refused(template: dict[str, Any]) -> dict[str, Any]:
    """The template as the emulator takes it: without the types it does not know, and what
    refers to them."""
    gone = {k for k, v in template["Resources"].items() if v["Type"] in REFUSED_TYPES}

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: kept(v) for k, v in value.items() if not _names(v, gone)}
        return [kept(one) for one in value if not _names(one, gone)] if isinstance(
            value, list) else value  # fmt: skip

    resources = {k: kept(v) for k, v in template["Resources"].items() if k not in gone}
    return {**template, "Resources": resources}


def _names(value: Any, gone: set[str]) -> bool:
    return isinstance(value, dict) and value.get("Ref") in gone


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
