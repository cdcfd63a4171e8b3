"""Where the managed layer of AWS SDK for pandas is found, region by region.

The layer brings pyarrow, pandas and awswrangler for Python 3.11: our package stays pure.
"""

from typing import Final

LAYER_ACCOUNT: Final = "336392948345"
LAYER_NAME: Final = "AWSSDKPandas-Python311"

# Versions differ by region, and an old one stays usable: numbers never go away. af-south-1
# and ap-northeast-1 are of the project's own list for 3.16.1
# (https://aws-sdk-pandas.readthedocs.io/en/stable/layers.html, read 2026-11-23), us-east-1
# and us-west-2 seen in public templates; the others *(assumed)* from what 3.13 published
# everywhere. `lakelet deploy` asks Lambda for the layer before it starts, and
# `[aws.function] layer_arn` takes its place.
LAYER_VERSIONS: Final = {
    "af-south-1": 30,
    "ap-northeast-1": 31,
    "ap-northeast-2": 23,
    "ap-northeast-3": 23,
    "ap-south-1": 23,
    "ap-southeast-1": 23,
    "ap-southeast-2": 23,
    "ca-central-1": 23,
    "eu-central-1": 23,
    "eu-north-1": 23,
    "eu-west-1": 23,
    "eu-west-2": 23,
    "eu-west-3": 23,
    "sa-east-1": 23,
    "us-east-1": 24,
    "us-east-2": 23,
    "us-west-1": 23,
    "us-west-2": 24,
}


def default_layer_arn(region: str) -> str | None:
    """None where the region has no managed layer that we know of."""
    version = LAYER_VERSIONS.get(region)
    if version is None:
        return None
    return f"arn:aws:lambda:{region}:{LAYER_ACCOUNT}:layer:{LAYER_NAME}:{version}"
