"""The pseudonyms' keys in Secrets Manager: made once, outside the stack, and never remade.

A stack that is removed and deployed again must find the same key, or the same user would
get another pseudonym; CloudFormation cannot take an existing secret in, so it is not its own.
"""

import json
import secrets
from typing import Any

from botocore.exceptions import ClientError

from lakelet.aws.site import Site

KEY_BYTES = 32  # HMAC-SHA256's own width
RECOVERY_DAYS = 7  # Secrets Manager's least


def secret_name(site: Site) -> str:
    return f"{site.names.base}/keyring"


def ensure_keyring(session: Any, site: Site) -> str:
    """The secret's ARN; made where it is not there."""
    manager = session.client("secretsmanager")
    try:
        return str(manager.describe_secret(SecretId=secret_name(site))["ARN"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
    options = {"KmsKeyId": site.settings.kms_key_arn} if site.settings.kms_key_arn else {}
    made = manager.create_secret(
        Name=secret_name(site),
        Description="Keys of the contract's pseudonyms (HMAC).",
        SecretString=json.dumps({"current": "k1", "k1": secrets.token_hex(KEY_BYTES)}),
        Tags=[{"Key": key, "Value": value} for key, value in sorted(site.tags.items())],
        **options,
    )
    return str(made["ARN"])


def schedule_deletion(session: Any, site: Site) -> None:
    """Gone in a week, and until then to be had back."""
    try:
        session.client("secretsmanager").delete_secret(
            SecretId=secret_name(site), RecoveryWindowInDays=RECOVERY_DAYS
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
