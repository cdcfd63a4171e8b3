"""Buckets, and what they are told: lifecycle, policy, tags, encryption, versioning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lakelet.store.disk import DiskObjectStore
from lakelet.store.settings import BucketSettings
from lakelet.wire.errors import RequestRefused
from lakelet.wire.s3.answers import Answer, Request
from lakelet.wire.service import DEFAULT_REGION, RequestContext

Operation = Callable[[Request, RequestContext], Answer]

OWNER = {"ID": "0" * 64, "DisplayName": "lakelet"}


class Buckets:
    """One method an operation."""

    def __init__(self, store: DiskObjectStore, settings: BucketSettings) -> None:
        self._store = store
        self._settings = settings

    def list_buckets(self, request: Request, context: RequestContext) -> Answer:
        prefix, after = request.get("Prefix", ""), request.get("ContinuationToken", "")
        names = [n for n in self._store.list_buckets() if n.startswith(prefix) and n > after]
        page = names[: request.get("MaxBuckets", 10_000)]
        created = ((name, self._store.bucket_created_at(name)) for name in page)
        return {
            "Owner": OWNER,
            "Buckets": [{"Name": name, "CreationDate": at} for name, at in created],
            "ContinuationToken": page[-1] if len(page) < len(names) and page else None,
            "Prefix": prefix or None,
        }

    def create_bucket(self, request: Request, context: RequestContext) -> Answer:
        bucket = request["Bucket"]
        # In the default region, and only there, S3 answers 200 to its owner's second attempt.
        if context.region != DEFAULT_REGION and bucket in self._store.list_buckets():
            raise RequestRefused(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own "
                "it.",
                http_status=409,
                members={"BucketName": bucket},
            )
        self._store.create_bucket(bucket)
        return {"Location": f"/{bucket}"}

    def delete_bucket(self, request: Request, context: RequestContext) -> Answer:
        self._store.delete_bucket(request["Bucket"])
        self._settings.forget(request["Bucket"])
        return {}

    def head_bucket(self, request: Request, context: RequestContext) -> Answer:
        self.check(request["Bucket"])
        return {"BucketRegion": context.region}

    def get_bucket_location(self, request: Request, context: RequestContext) -> Answer:
        self.check(request["Bucket"])
        is_default = context.region == DEFAULT_REGION
        return {"LocationConstraint": None if is_default else context.region}

    def get_bucket_versioning(self, request: Request, context: RequestContext) -> Answer:
        self.check(request["Bucket"])
        return {}

    def put_bucket_versioning(self, request: Request, context: RequestContext) -> Answer:
        self.check(request["Bucket"])
        if request["VersioningConfiguration"].get("Status") == "Enabled":
            raise RequestRefused(
                "NotImplemented",
                "Lakelet keeps one version of each object; versioning cannot be enabled.",
                http_status=501,
            )
        return {}

    def check(self, bucket: str) -> None:
        """Raises BucketNotFound."""
        self._store.bucket_created_at(bucket)


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing a bucket can be told: kept and given back, by three operations.

    Kept is not obeyed: policies are not enforced (a node has one principal), and nothing is
    encrypted at rest because of a setting here.
    """

    name: str
    suffix: str  # of the operations: GetBucket…, PutBucket…, DeleteBucket…
    put_member: str
    get_payload: str  # the answer's member that holds it; "" where its members are the answer's
    absent_code: str
    delete_operation: str = ""
    has_bucket: bool = True  # PutPublicAccessBlock lacks the word


SETTINGS = (
    Setting(
        "lifecycle",
        "LifecycleConfiguration",
        "LifecycleConfiguration",
        "",
        "NoSuchLifecycleConfiguration",
        "DeleteBucketLifecycle",
    ),
    Setting("policy", "Policy", "Policy", "Policy", "NoSuchBucketPolicy"),
    Setting("tagging", "Tagging", "Tagging", "", "NoSuchTagSet"),
    Setting(
        "encryption",
        "Encryption",
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    Setting(
        "public_access_block",
        "PublicAccessBlock",
        "PublicAccessBlockConfiguration",
        "PublicAccessBlockConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        has_bucket=False,
    ),
    Setting(
        "ownership_controls",
        "OwnershipControls",
        "OwnershipControls",
        "OwnershipControls",
        "OwnershipControlsNotFoundError",
    ),
)


def setting_operations(
    setting: Setting, buckets: Buckets, settings: BucketSettings
) -> Mapping[str, Operation]:
    """Get, put and delete of one setting, by operation name."""

    def get(request: Request, context: RequestContext) -> Answer:
        buckets.check(request["Bucket"])
        value: Any = settings.get(request["Bucket"], setting.name)
        if value is None:
            raise RequestRefused(
                setting.absent_code,
                f"The bucket {request['Bucket']!r} has no {setting.name.replace('_', ' ')} set.",
                http_status=404,
            )
        return {setting.get_payload: value} if setting.get_payload else value

    def put(request: Request, context: RequestContext) -> Answer:
        buckets.check(request["Bucket"])
        value = request.get(setting.put_member)
        if value is None:
            raise RequestRefused("MalformedXML", f"The request has no {setting.put_member}.")
        settings.put(request["Bucket"], setting.name, value)
        return {}

    def delete(request: Request, context: RequestContext) -> Answer:
        buckets.check(request["Bucket"])
        settings.delete(request["Bucket"], setting.name)
        return {}

    noun = f"{'Bucket' if setting.has_bucket else ''}{setting.suffix}"
    return {
        f"Get{noun}": get,
        f"Put{noun}": put,
        setting.delete_operation or f"Delete{noun}": delete,
    }
