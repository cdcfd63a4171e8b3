"""S3's REST API over the buckets of a disk: what boto3, the AWS CLI, awswrangler and s3a use."""

from lakelet.store.disk import DiskObjectStore
from lakelet.store.settings import BucketSettings
from lakelet.store.uploads import MultipartUploads
from lakelet.wire.paging import threaded
from lakelet.wire.s3.buckets import SETTINGS, Buckets, Operation, setting_operations
from lakelet.wire.s3.listing import Listing
from lakelet.wire.s3.multipart import Multipart
from lakelet.wire.s3.objects import Expiration, Objects, never_expires
from lakelet.wire.service import Handler, Service

__all__ = ["Expiration", "s3_service"]


def s3_service(store: DiskObjectStore, *, expiration: Expiration = never_expires) -> Service:
    """
    Args:
        expiration: when, and by which rule, an object will go: told as x-amz-expiration.
    """
    settings = BucketSettings(store)
    buckets = Buckets(store, settings)
    objects = Objects(store, expiration)
    listing = Listing(store)
    multipart = Multipart(store, MultipartUploads(store))
    operations: dict[str, Operation] = {
        "ListBuckets": buckets.list_buckets,
        "CreateBucket": buckets.create_bucket,
        "DeleteBucket": buckets.delete_bucket,
        "HeadBucket": buckets.head_bucket,
        "GetBucketLocation": buckets.get_bucket_location,
        "GetBucketVersioning": buckets.get_bucket_versioning,
        "PutBucketVersioning": buckets.put_bucket_versioning,
        "ListObjects": listing.list_objects,
        "ListObjectsV2": listing.list_objects_v2,
        "GetObject": objects.get_object,
        "HeadObject": objects.head_object,
        "CopyObject": objects.copy_object,
        "DeleteObject": objects.delete_object,
        "DeleteObjects": objects.delete_objects,
        "GetObjectTagging": objects.get_object_tagging,
        "PutObjectTagging": objects.put_object_tagging,
        "DeleteObjectTagging": objects.delete_object_tagging,
        "CreateMultipartUpload": multipart.create_multipart_upload,
        "UploadPartCopy": multipart.upload_part_copy,
        "CompleteMultipartUpload": multipart.complete_multipart_upload,
        "AbortMultipartUpload": multipart.abort_multipart_upload,
        "ListParts": multipart.list_parts,
        "ListMultipartUploads": multipart.list_multipart_uploads,
    }
    for setting in SETTINGS:
        operations |= setting_operations(setting, buckets, settings)
    handlers: dict[str, Handler] = {name: threaded(call) for name, call in operations.items()}
    streamed = {"PutObject": objects.put_object, "UploadPart": multipart.upload_part}
    return Service("s3", handlers | streamed)
