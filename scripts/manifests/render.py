"""Render overlays by `kubectl kustomize`, in a copy of deploy/ with throw-away certificates."""

import pathlib
import re
import shutil
import subprocess

import yaml
from fault import Fault

PACKAGES = pathlib.Path(__file__).resolve().parents[2] / "target/manifests-packages"
KUBECTL = PACKAGES / "bin/kubectl"
# The Secret of a node or of the coordinator.
SECRET = re.compile(r"stage-(?P<stage>\d+)(?P<backward>-backward)?-tls|coordinator-tls")


def overlays(deploy, coordinator, out):
    """The rendered text of every overlay by its name; `out` is made anew."""
    shutil.rmtree(out, ignore_errors=True)
    copy, rendered = out / "deploy", out / "rendered"
    # Keys that a user has put there stay out of the copy.
    shutil.copytree(deploy, copy, ignore=shutil.ignore_patterns("*.pem"))
    rendered.mkdir()
    for folder in sorted(copy.rglob("certificates/kustomization.yaml")):
        certify(folder.parent, coordinator)
    texts = {folder.name: kustomize(folder) for folder in sorted((copy / "overlays").iterdir())}
    for name, text in texts.items():
        (rendered / f"{name}.yaml").write_text(text)
    return texts


def certify(folder, coordinator):
    """Fill a folder of certificates as its Secrets ask for them."""
    generators = yaml.safe_load((folder / "kustomization.yaml").read_text())["secretGenerator"]
    found = [SECRET.fullmatch(generator["name"]) for generator in generators]
    if None in found:
        raise Fault(f"{folder}: a Secret is neither that of a node nor that of the coordinator")
    stages = {int(match["stage"]) for match in found if match["stage"]}
    backward = sorted(int(match["stage"]) for match in found if match["backward"])
    words = ["certificates", "--kubernetes", "--stages", str(max(stages) + 1), "--out", str(folder)]
    if backward:
        words += ["--backward", ",".join(map(str, backward))]
    run([coordinator, *words])


def kustomize(folder):
    return run([KUBECTL, "kustomize", folder])


def run(command):
    """What the command prints. It fails on a warning as well, of which kustomize has some for fields that go."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0 or "warning" in done.stderr.lower():
        raise Fault(f"`{' '.join(map(str, command))}`: {done.stderr.strip()}")
    return done.stdout
