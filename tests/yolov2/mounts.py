"""Small file systems of a test's own, where the machine lets a test mount them."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

MOUNT = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
UNSHARE = ("unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh")


def mounted(options: str, folder: Path, command: Sequence[str]) -> list[str]:
    """``command`` as it sees ``folder``: an empty file system of ``options`` (``size=64k``)."""
    if subprocess.run([*UNSHARE, options, folder, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs (unshare --map-root-user --mount)")
    return [*UNSHARE, options, str(folder), *command]
