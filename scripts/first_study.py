#!/usr/bin/env python3
"""Run every command of docs/first-study.md as it stands there, in the order of the page, and say how long each took.

    python3 scripts/first_study.py                            the whole study: some 20 minutes on two cores
    python3 scripts/first_study.py --write                    the same; then its times and its figure go into docs/
    python3 scripts/first_study.py --short --programs DIR     the same commands with a few steps each; DIR has the programs

The commands run in target/first-study/, which is made anew, with the repository's folders as links. With --programs the
command that builds is left out. Fashion-MNIST must be in data/, or in NEUROPIL_DATA.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/first-study.md"
WORK = ROOT / "target/first-study"
# What --write copies: the whole figure, and two of its charts for the README.
FIGURES = {"figure.svg": "first-study.svg", "figure-test-accuracy.svg": "first-study-test-accuracy.svg",
           "figure-angle.svg": "first-study-angle.svg"}
MARKS = ("<!-- times: begin -->\n", "<!-- times: end -->")
SHORT = ["data.limit=640", "data.test_limit=200", "train.evaluate_every=6", "metrics.layers_every=4"]
STEPS = re.compile(r"train\.max_steps=(\d+)")


def commands(page):
    """The commands of the page: the lines of its blocks of `sh`, those that end in a backslash joined with the next."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def shortened(command):
    """The command with a twentieth of its steps, or with twelve, on few images."""
    if not re.search(r"coordinator (train|sweep) ", command):
        return command
    command = STEPS.sub(lambda steps: f"train.max_steps={int(steps[1]) // 20}", command)
    more = SHORT if STEPS.search(command) else [*SHORT, "train.max_steps=12"]
    return " ".join([command, *(f"--set {key}" for key in more)])


def make_work(programs):
    """The folder of the commands, empty but for links."""
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "target").mkdir(parents=True)
    (ROOT / "target/study").mkdir(exist_ok=True)
    links = {"examples": ROOT / "examples", "scripts": ROOT / "scripts", "data": ROOT / "data",
             "target/release": programs, "target/study": ROOT / "target/study"}
    for name, to in links.items():
        (WORK / name).symlink_to(to, target_is_directory=True)


def run(command):
    """Run one command; the seconds that it took."""
    print(f"$ {command}", flush=True)
    environment = {"NEUROPIL_DATA": str(ROOT / "data"), **os.environ}
    start = time.monotonic()
    code = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=WORK, env=environment).returncode
    if code != 0:
        sys.exit(f"first_study.py: a command of docs/first-study.md ended with exit code {code}: {command}")
    return time.monotonic() - start


def is_left_out(command, programs):
    """Whether a command has nothing to do: to build where programs are given, to install what is there."""
    installs = command.startswith("python3 -m pip")
    return (programs and command.startswith("cargo ")) or (installs and (ROOT / "target/study/pandas").exists())


def table(times):
    begin = lambda command: textwrap.shorten(command.replace("target/release/", ""), 72, placeholder=" …")
    rows = [f"| `{begin(command)}` | {seconds:.0f} s |" for command, seconds in times]
    return "\n".join(["| command | time |", "|---|---|", *rows])


def write(times):
    page = PAGE.read_text()
    head, rest = page.split(MARKS[0])
    _, tail = rest.split(MARKS[1])
    PAGE.write_text(f"{head}{MARKS[0]}\n{table(times)}\n\n{MARKS[1]}{tail}")
    for made, shown in FIGURES.items():
        shutil.copy(WORK / "runs/compare-rules" / made, ROOT / "docs/figures" / shown)
    print(f"{PAGE} has the times, and {ROOT / 'docs/figures'} the figures")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few steps of each training")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="the folder of coordinator and layer-node")
    parser.add_argument("--write", action="store_true", help="put the times and the figure into docs/")
    flags = parser.parse_args()
    if flags.short and flags.write:
        parser.error("--write is for the whole study, and not for --short")
    make_work((flags.programs or ROOT / "target/release").resolve())
    times = []
    for command in commands(PAGE.read_text()):
        if not is_left_out(command, flags.programs):
            times.append((command, run(shortened(command) if flags.short else command)))
    print(table(times))
    if flags.write:
        write(times)


if __name__ == "__main__":
    main()
