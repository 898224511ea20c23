"""Render every overlay of deploy/, and check what comes out: schemas of Kubernetes, custom resources, queries.

    PYTHONPATH=target/manifests-packages python3 scripts/manifests COORDINATOR OUT

COORDINATOR is the program that makes certificates, OUT a folder for the copy of deploy/ and the rendered files; the
rendered overlay NAME is OUT/rendered/NAME.yaml. `cargo xtask manifests` calls this.
"""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
import custom
import lint
import queries
import render
import schemas
from fault import Fault

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("coordinator", type=pathlib.Path, help="the program that makes certificates")
    parser.add_argument("out", type=pathlib.Path, help="the folder for the rendered overlays")
    arguments = parser.parse_args()
    try:
        rendered = render.overlays(ROOT / "deploy", arguments.coordinator.resolve(), arguments.out)
    except Fault as fault:
        sys.exit(f"manifests: {fault}")
    found = [fault for name, text in rendered.items() for fault in check(name, text)]
    found += queries.faults(rendered["monitoring"])
    found += lint.dockerfiles(ROOT / "deploy")
    for fault in dict.fromkeys(found):
        print(f"fault: {fault}")
    sys.exit(1 if found else 0)


def check(overlay, text):
    """The faults of the objects of a rendered overlay."""
    try:
        objects = schemas.objects(text)
    except Fault as fault:
        return [f"{overlay}: {fault}"]
    builtin = [object for object in objects if not custom.describes(object)]
    faults = []
    for object in objects:
        if custom.describes(object):
            found, embedded = custom.check(object)
            faults += found
            builtin += embedded
    faults += schemas.faults(builtin)
    print(f"{overlay}: {len(objects)} objects, each checked for Kubernetes {', '.join(schemas.VERSIONS)}")
    return [f"{overlay}: {fault}" for fault in faults]


main()
