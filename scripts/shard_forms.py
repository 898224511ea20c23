#!/usr/bin/env python3
"""Writes coordinator/tests/shards/*.tar: the same files in every form of tar that GNU tar and Python's tarfile write."""

import io
import pathlib
import subprocess
import tarfile
import tempfile

OUT = pathlib.Path(__file__).parent.parent / "coordinator" / "tests" / "shards"
# A name of 100 bytes is the longest of v7, and one of 150 fits into ustar's two fields.
FILES = {
    "v7": {"a/0.cls": "0", "a/1.cls": "1" * 600, f"{'f' * 90}/bbbbb.cls": "2"},
    "ustar": {f"{'f' * 140}/ccccc.cls": "3"},
    "gnu": {f"{'d' * 300}.cls": "4", "é/日本.cls": "5"},
}


def by_tar(form, files):
    """GNU tar, one block a record, so that the archive is no longer than it must be."""
    with tempfile.TemporaryDirectory() as folder:
        # No file system takes a name of 300 bytes: tar gives the files their names.
        rules = []
        for number, (name, text) in enumerate(files.items()):
            pathlib.Path(folder, str(number)).write_text(text)
            rules.append(f"--transform=s|^{number}$|{name}|")
        owner = ["--owner=a:1", "--group=a:1", "--mtime=@1", "--mode=644"]
        command = ["tar", "-C", folder, f"--format={form}", "-b1", *owner, *rules, "-cf", OUT / f"{form}.tar"]
        subprocess.run([*command, *map(str, range(len(files)))], check=True)


def by_python(form, files):
    name = {tarfile.GNU_FORMAT: "gnu", tarfile.PAX_FORMAT: "pax"}[form]
    with tarfile.open(OUT / f"python-{name}.tar", "w", format=form) as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    v7 = FILES["v7"]
    ustar = v7 | FILES["ustar"]
    everything = ustar | FILES["gnu"]
    by_tar("v7", v7)
    by_tar("ustar", ustar)
    for form in ("gnu", "pax"):
        by_tar(form, everything)
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        by_python(form, everything)
