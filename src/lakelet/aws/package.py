"""The code that is deployed: one pure wheel, the same bytes from the same source.

Function and job get the same file: to Lambda a wheel is a zip with our package at its root;
to Glue it is what pip installs on every worker. It holds only the modules that those two
reach, found by following imports, and the declaration.
"""

import ast
import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import lakelet
from lakelet.aws.environment import DECLARATION_FILE, JOB_SCRIPT_MODULE, encode_declaration
from lakelet.model.contract import Contract
from lakelet.model.errors import LakeletError
from lakelet.model.pipeline import Pipeline

LAMBDA_UNZIPPED_BYTES_MAX = 262_144_000  # Lambda's quota, layers included
# The managed layer, unzipped. *(assumed)*: near the quota by design; its own makers keep it
# below. What is left is measured against our package, which is a thousandth of it.
LAYER_UNZIPPED_BYTES = 255_000_000
# What the managed layer and Glue bring; anything else imported would fail on the first event.
PROVIDED = frozenset({"pyarrow", "pandas", "numpy", "awswrangler", "boto3", "botocore", "awsglue"})
# Used where installed; the standard library serves without them.
OPTIONAL = frozenset({"isal"})
PROVIDED_BY_GLUE = frozenset({"pyspark"})
ROOTS = ("lakelet.aws.handler", JOB_SCRIPT_MODULE)
JOB_SCRIPT = (
    f'"""Everything is in the wheel."""\n\nfrom {JOB_SCRIPT_MODULE} import main\n\nmain()\n'
)

_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's first instant: files have no time here
_SOURCE = Path(lakelet.__file__).parent


class PackageTooLarge(LakeletError):
    code = "aws.package_too_large"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file for the scripts bucket; the key changes with the content, and only then."""

    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Package:
    function: Artifact
    wheel: Artifact
    script: Artifact
    unzipped_bytes: int

    def artifacts(self) -> tuple[Artifact, Artifact, Artifact]:
        return self.function, self.wheel, self.script

    def parameters(self) -> dict[str, str]:
        """For the template."""
        return {
            "FunctionPackage": self.function.key,
            "JobWheel": self.wheel.key,
            "JobScript": self.script.key,
        }


def build_package(pipeline: Pipeline, contract: Contract) -> Package:
    """Raises PackageTooLarge where Lambda would refuse it."""
    files = {f"lakelet/{name}": body for name, body in _modules().items()}
    files[f"lakelet/aws/{DECLARATION_FILE}"] = encode_declaration(pipeline, contract)
    unzipped = sum(map(len, files.values()))
    check_size(unzipped)
    wheel = _wheel(files)
    script = JOB_SCRIPT.encode()
    return Package(
        function=Artifact(f"code/{_digest(wheel)}/function.zip", wheel),
        wheel=Artifact(f"code/{_digest(wheel)}/{_wheel_name()}.whl", wheel),
        script=Artifact(f"code/{_digest(script)}/job.py", script),
        unzipped_bytes=unzipped,
    )


def check_size(unzipped_bytes: int, layer_bytes: int = LAYER_UNZIPPED_BYTES) -> None:
    total = unzipped_bytes + layer_bytes
    if total > LAMBDA_UNZIPPED_BYTES_MAX:
        raise PackageTooLarge(
            f"Package ({unzipped_bytes:,} bytes) and layer ({layer_bytes:,}) make {total:,} bytes "
            f"unzipped; Lambda allows {LAMBDA_UNZIPPED_BYTES_MAX:,}.",
            hint="Choose a smaller layer: [aws.function] layer_arn.",
        )


# --- what belongs in ------------------------------------------------------------------


@cache
def _modules() -> dict[str, bytes]:
    """Path below `lakelet/` → source, for every module the roots reach."""
    found: dict[str, bytes] = {}
    queue = list(ROOTS)
    while queue:
        path = _path_of(queue.pop())
        if path is None or _below(path) in found:
            continue
        source = path.read_bytes()
        found[_below(path)] = source
        # `import a.b.c` runs the packages above it too.
        queue += [_module_of(parent / "__init__.py") for parent in path.parents
                  if parent.is_relative_to(_SOURCE)]  # fmt: skip
        queue += [name for name in imported(source) if name.startswith("lakelet")]
    found["model/lakelet.toml"] = (_SOURCE / "model" / "lakelet.toml").read_bytes()
    return dict(sorted(found.items()))


def imported(source: bytes) -> Iterator[str]:
    """Every module a source may import when it runs: at its top or inside a function, but
    not for types only, and not the package's own lazily offered names."""
    tree = ast.parse(source)
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            # `from lakelet.aws import environment` names a module, or something inside one.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def foreign_imports() -> dict[str, set[str]]:
    """Top-level packages, neither ours nor the standard library's → who imports them."""
    import sys

    found: dict[str, set[str]] = {}
    for path, source in _modules().items():
        if path.endswith(".py"):
            for name in imported(source):
                top = name.split(".", 1)[0]
                if top != "lakelet" and top not in sys.stdlib_module_names:
                    found.setdefault(top, set()).add(path)
    return found


def _path_of(module: str) -> Path | None:
    base = _SOURCE.parent.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _module_of(path: Path) -> str:
    parts = path.relative_to(_SOURCE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _below(path: Path) -> str:
    return path.relative_to(_SOURCE).as_posix()


# --- how it is packed ------------------------------------------------------------------


def _wheel_name() -> str:
    return f"lakelet-{lakelet.__version__}-py3-none-any"


def _wheel(files: dict[str, bytes]) -> bytes:
    """A wheel (PEP 427) without dependencies: the platforms bring them."""
    info = f"lakelet-{lakelet.__version__}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: lakelet\nVersion: {lakelet.__version__}\n"
    tags = "Wheel-Version: 1.0\nGenerator: lakelet\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        **files,
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": tags.encode(),
    }
    record = [f"{name},sha256={_record_hash(body)},{len(body)}" for name, body in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    return _zip(files)


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, body in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whoever packs
            entry.external_attr = 0o644 << 16  # Lambda runs as another user: readable to all
            archive.writestr(entry, body)
    return buffer.getvalue()


def _record_hash(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
