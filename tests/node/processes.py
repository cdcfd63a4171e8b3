"""Looking at other processes, which tell nobody what becomes of them."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """A zombie nobody reaps has ended too: a container's first process may reap none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter while it is read
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"
