"""A disk that is full after a megabyte, for what must survive that."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MOUNTING = """
mount -t tmpfs -o size=1m,mode=700 tmpfs "$0" || exit 99
for argument do
  shift
  [ "$argument" = DISK ] && argument=$0
  set -- "$@" "$argument"
done
exec "$@"
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """Begin a command line with this: its word DISK becomes a folder of 1 MiB."""
    command = ["unshare", "--user", "--map-root-user", "--mount"]
    command += ["sh", "-c", MOUNTING, str(tmp_path)]
    if shutil.which("unshare") is None:
        pytest.skip("needs namespaces")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs namespaces")
    return command
