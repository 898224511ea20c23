#!/usr/bin/env python3
"""Train every rule with every number format of links, and put the accuracies and the angles into docs/wire-formats.md.

    python3 scripts/wire_formats.py                          some 10 minutes on two quiet cores
    python3 scripts/wire_formats.py --short --print          a few steps each, and the table on the screen

The sweep is examples/wire-formats.toml. What has been trained already is not trained again. The programs must lie in
target/release, or in the folder of --programs, and Fashion-MNIST in data/, or in NEUROPIL_DATA.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/wire-formats.md"
MARKS = ("<!-- formats: begin -->\n", "<!-- formats: end -->")
FORMATS = ["f32", "bf16", "int8", "int8 with feedback"]
SHORT = ["data.limit=512", "data.test_limit=200", "metrics.layers_every=2", "metrics.signals_every=2"]


def sweep(programs, short):
    """Run the sweep, or what is left of it; its folder."""
    folder = ROOT / "runs" / ("wire-formats-short" if short else "wire-formats")
    command = [programs / "coordinator", "sweep", "--config", "examples/wire-formats.toml", "--local", "--resume",
               "--run-dir", folder]
    for key in SHORT if short else []:
        command += ["--set", key]
    environment = {"NEUROPIL_DATA": str(ROOT / "data"), **os.environ}
    if code := subprocess.run(command, cwd=ROOT, env=environment).returncode:
        sys.exit(f"wire_formats.py: the sweep ended with exit code {code}; the next call goes on with it")
    return folder


def read(folder):
    """The trials by case: the test accuracy, and the mean angle of the error signals in the last step that measured it."""
    found = {}
    for line in (folder / "trials.jsonl").read_text().splitlines():
        trial = json.loads(line)
        metrics = folder / "trials" / f"trial-{trial['trial']:03}" / "metrics.jsonl"
        steps = [json.loads(step) for step in metrics.read_text().splitlines()]
        measured = [[layer["error_angle_deg"] for layer in step.get("layers", [])
                     if layer.get("error_angle_deg") is not None] for step in steps]
        angles = next((angles for angles in reversed(measured) if angles), None)
        found.setdefault(trial["case"], []).append((trial["test_top1"], angles and sum(angles) / len(angles)))
    return found


def table(found):
    """A row for each rule: in each format the mean accuracy and the mean angle over the seeds."""
    def cell(trials):
        accuracies = [accuracy for accuracy, _ in trials if accuracy is not None]
        angles = [angle for _, angle in trials if angle is not None]
        if not accuracies:
            return "failed"
        accuracy = f"{100 * sum(accuracies) / len(accuracies):.1f} %"
        return f"{accuracy}, {sum(angles) / len(angles):.1f}°" if angles else accuracy
    rules = dict.fromkeys(case.rsplit(", ", 1)[0] for case in found)
    rows = [f"| {rule} | " + " | ".join(cell(found.get(f"{rule}, {wire}", [])) for wire in FORMATS) + " |" for rule in rules]
    return "\n".join([f"| rule | {' | '.join(FORMATS)} |", "|---" * (1 + len(FORMATS)) + "|", *rows]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few steps of each training")
    parser.add_argument("--print", action="store_true", help="show the table, and leave the page as it is")
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target/release", help="the programs' folder")
    arguments = parser.parse_args()
    filled = table(read(sweep(arguments.programs.resolve(), arguments.short)))
    if arguments.print:
        return print(filled, end="")
    before, rest = PAGE.read_text().split(MARKS[0])
    PAGE.write_text(before + MARKS[0] + filled + MARKS[1] + rest.split(MARKS[1])[1])


if __name__ == "__main__":
    main()
