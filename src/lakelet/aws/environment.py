"""What the template tells the function and the job: the names of their surroundings.

The package brings the declaration (`lakelet/aws/declaration.json`: the pipeline's values
and the compiled contract); these variables bring what only the deployment knows.
"""

from typing import Final

# The name with its stage: it makes the bucket names, and is the metrics' `Pipeline`.
PIPELINE: Final = "LAKELET_PIPELINE"
BUCKET_SUFFIX: Final = "LAKELET_BUCKET_SUFFIX"  # `-<account>-<region>`
KEYRING_SECRET: Final = "LAKELET_KEYRING_SECRET_ARN"  # noqa: S105 - a name; absent without hashes
DECLARATION_FILE: Final = "declaration.json"  # beside this module, in the package

HANDLER: Final = "lakelet.aws.handler.handler"
JOB_SCRIPT_MODULE: Final = "lakelet.aws.glue_job"
