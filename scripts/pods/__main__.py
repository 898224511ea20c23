"""Render overlays, and run their pods in network namespaces, one per pod: `cargo xtask pods` does, as root.

    PYTHONPATH=target/manifests-packages python3 scripts/pods --build target/debug --data data --folder DIR

Without --root, the pods have this machine's system, read-only, with the programs of the build folder. Where no
namespaces can be made, the policies are compared with what a run needs, and nothing is started.
"""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
import overlays
import reach
import scenarios
import training
from failure import Failure
from fault import Fault
from image import Image
from manifest import Objects, pods
from network import Network
from scenarios import Scene

# The overlay and the scenario of each name. All overlays but `split` have the same training.
PLAYED = {"connections": ("demo", scenarios.every_connection), "to the end": ("demo", scenarios.to_the_end),
          "in reverse": ("demo", scenarios.in_reverse), "stages lost": ("demo", scenarios.stages_lost),
          "coordinator killed": ("demo", scenarios.coordinator_killed),
          "coordinator drained": ("demo", scenarios.coordinator_drained), "jobset": ("jobset", scenarios.job_set),
          "connections, split": ("split", scenarios.every_connection), "split": ("split", scenarios.to_the_end)}


def main():
    flags = _flags()
    try:
        coordinator = flags.build / "coordinator"
        rendered = overlays.of_repository(coordinator, flags.folder / "overlays")
        rendered["split"] = overlays.of_split_stages(coordinator, flags.folder / "split-overlay")
        for name, documents in rendered.items():
            print(f"{name}: {_by_policies(Objects(documents))}", flush=True)
        network = _network()
        if network is None:
            return
        try:
            _play(flags, rendered, network)
        finally:
            network.remove()
    except (Failure, Fault) as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _flags():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the folder of both programs")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder of data sets")
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="a folder for volumes and logs")
    parser.add_argument("--root", type=pathlib.Path, help="the root of an image, as deploy/image-root.sh makes it")
    parser.add_argument("--only", choices=PLAYED, help="the one scenario to play, after that to the end")
    return parser.parse_args()


def _by_policies(objects):
    """What the policies of an overlay say by themselves is compared with what a run needs."""
    outside = reach.outside(objects)
    ends = [reach.end(pod, objects.namespace) for pod in pods(objects)]
    attempts = list(reach.tries(ends, outside))
    reached = reach.by_policies(objects, attempts)
    reach.compare(reach.Expected(objects), attempts, reached)
    return f"by its policies, {len(reached)} of {len(attempts)} connections are let through, which are those of a run"


def _network():
    """The network, or `None` where none can be made, which is said."""
    try:
        return Network()
    except Failure as failure:
        print(f"no network namespaces can be made here ({failure}): nothing is started")
        return None


def _play(flags, rendered, network):
    image = Image.of_folder(flags.root, flags.data) if flags.root else Image.of_machine(flags.build, flags.data)
    demo, split = (Scene(image, network, flags.folder) for _ in range(2))
    for name, (overlay, scenario) in PLAYED.items():
        if flags.only in (None, name) or name == "to the end":
            scene = split if overlay == "split" else demo
            steps = training.ENDLESS if scenario is scenarios.every_connection else training.STEPS
            scene.play(name, training.shortened(rendered[overlay], steps), scenario)


main()
