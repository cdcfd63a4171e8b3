"""What the function and the job share: the pipeline they serve, and one object's passage."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lakelet.aws.environment import KEYRING_SECRET, packaged_declaration
from lakelet.model.contract import Contract, Keyring
from lakelet.model.errors import ObjectNotFound
from lakelet.model.keyring import parse_keyring
from lakelet.model.layout import manifest_key
from lakelet.model.manifest import Manifest, RawObject
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore
from lakelet.transform import TableWriter, parquet_writer, process, raw_object


@dataclass(frozen=True, slots=True)
class Runner:
    """Transforms raw objects of one pipeline, each once."""

    store: ObjectStore
    pipeline: Pipeline
    contract: Contract
    keyring: Keyring | None = None
    write_table: TableWriter = parquet_writer

    def transform(
        self, key: str, *, again: bool = False, stop: Callable[[], bool] | None = None
    ) -> tuple[Manifest, bool]:
        """One raw object, unless it is done.

        Events come at least once and runs overlap: an object whose manifest has its ETag is
        left alone, whatever the contract says by now (reprocessing is a decision of people).

        Returns:
            Its manifest, and whether this call made it.
        Raises:
            As `transform.process`; ObjectNotFound.
        """
        raw = raw_object(self.store, self.pipeline.raw_bucket, key)
        done = None if again else finished(self.store, self.pipeline, raw)
        if done is not None:
            return done, False
        manifest = process(
            self.store,
            self.pipeline,
            self.contract,
            raw,
            keyring=self.keyring,
            write_table=self.write_table,
            stop=stop,
        )
        return manifest, True


def finished(store: ObjectStore, pipeline: Pipeline, raw: RawObject) -> Manifest | None:
    """The manifest of exactly these bytes, if there is one."""
    try:
        data = store.get(pipeline.transformed_bucket, manifest_key(raw.key))
        manifest = Manifest.decode(data)
    except (ObjectNotFound, ValueError, KeyError, TypeError):
        return None
    return manifest if manifest.raw.etag == raw.etag else None


def s3_runner(
    variables: Mapping[str, str] = os.environ,
    writer: Callable[[Any], TableWriter] = lambda _: parquet_writer,
) -> Runner:
    """The runner of a deployed package, over S3. `writer` makes the writer of a boto3 session;
    by default pyarrow alone. Raises DeclarationError."""
    import boto3

    from lakelet.store.s3 import S3ObjectStore

    session = boto3.session.Session()
    pipeline, contract = packaged_declaration(variables)
    return Runner(
        S3ObjectStore(session.client("s3")),
        pipeline,
        contract,
        read_keyring(session, variables.get(KEYRING_SECRET, "")),
        writer(session),
    )


def read_keyring(session: Any, secret_arn: str) -> Keyring | None:
    """The pseudonyms' keys from Secrets Manager; None where the contract needs none."""
    if not secret_arn:
        return None
    text = session.client("secretsmanager").get_secret_value(SecretId=secret_arn)["SecretString"]
    return parse_keyring(text, f"the secret {secret_arn}")
