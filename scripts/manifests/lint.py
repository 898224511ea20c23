"""Dockerfiles, by hadolint."""

import subprocess

from render import PACKAGES


def dockerfiles(deploy):
    """What the linter says of the Dockerfiles in the folder: its hints and warnings count as well."""
    files = sorted(map(str, deploy.glob("Dockerfile*")))
    if not files:
        return []
    command = [PACKAGES / "bin/hadolint", "--no-color", "--failure-threshold", "info", *files]
    done = subprocess.run(command, capture_output=True, text=True)
    print(f"hadolint read {len(files)} file(s)")
    return (done.stdout + done.stderr).splitlines() if done.returncode != 0 else []
