"""The documents of rendered overlays: those of the repository, and one of a base that is written for this occasion."""

import pathlib
import shutil
import sys

_SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.append(str(_SCRIPTS / "manifests"))
import render
import schemas

_ROOT = _SCRIPTS.parent
# W and B of every layer on two nodes, under a rule that does not read W.
_SPLIT = ["--set", "pipeline.placement=split", "--set", "rule.name=kolen_pollack"]
_OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base]
components: [../base/certificates]
"""


def of_repository(coordinator, folder):
    """The overlays demo and jobset, with certificates that are made for them."""
    texts = render.overlays(_ROOT / "deploy", coordinator, folder)
    return {name: schemas.objects(texts[name]) for name in ("demo", "jobset")}


def of_split_stages(coordinator, folder):
    """What `coordinator manifests` writes for the demo with all layers split, with certificates."""
    shutil.rmtree(folder, ignore_errors=True)
    base, overlay = folder / "base", folder / "overlay"
    overlay.mkdir(parents=True)
    render.run([coordinator, "manifests", "--config", _ROOT / "examples/fashion.toml", *_SPLIT, "--out", base])
    (overlay / "kustomization.yaml").write_text(_OVERLAY)
    render.certify(base / "certificates", coordinator)
    return schemas.objects(render.kustomize(overlay))
