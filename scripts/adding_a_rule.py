#!/usr/bin/env python3
"""Applies the patches of docs/adding-a-rule/ to a copy of the repository, each on its own, compiles it and trains with it.

    python3 scripts/adding_a_rule.py [--target DIR] [--patch NAME] [--check]

Each patch is checked by the tests that go through all primitives and all rules: that B learns from a new primitive in
every kind of layer, that it reads W only if it says so, and that both programs train with it by its name. --check
compiles alone. --target is a folder for what cargo builds, so that a second call is quick. Needs git and cargo.
"""
import argparse, os, pathlib, shutil, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATCHES = ROOT / "docs" / "adding-a-rule"
# (package, arguments of cargo test, filter)
TESTS = [("proto", ["--lib"], "primitive"), ("layer-node", ["--lib"], "primitives"),
         ("layer-node", ["--test", "all"], "primitives"), ("e2e", ["--test", "whole"], "primitives::")]


def run(command, **options):
    print("+", " ".join(map(str, command)), flush=True)
    if subprocess.run(command, **options).returncode != 0:
        sys.exit(f"adding_a_rule.py: '{' '.join(map(str, command))}' failed")


def copied(into):
    """A copy of the files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            check=True, capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source = ROOT / name
        if source.is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, into / name)
    for name in [".libtorch", "data"]:
        if (ROOT / name).exists():
            (into / name).symlink_to((ROOT / name).resolve())


def tried(patch, target, only_check):
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "neuropil"
        copy.mkdir()
        copied(copy)
        run(["git", "apply", patch], cwd=copy, env={**os.environ, "GIT_CEILING_DIRECTORIES": folder})
        environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
        if only_check:
            run(["cargo", "check", "--workspace", "--all-targets"], cwd=copy, env=environment)
            return
        for package, arguments, name in TESTS:
            run(["cargo", "test", "-p", package, *arguments, "--", name], cwd=copy, env=environment)
        run(["cargo", "test", "-p", "coordinator", "--lib", "--", "the_page_holds"], cwd=copy,
            env={**environment, "NEUROPIL_WRITE_REFERENCE": "1"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=pathlib.Path, default=ROOT / "target" / "adding-a-rule")
    parser.add_argument("--patch", default="")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    found = sorted(path for path in PATCHES.glob("*.patch") if asked.patch in path.name)
    if not found:
        sys.exit(f"adding_a_rule.py: no patch in {PATCHES} has '{asked.patch}' in its name")
    for patch in found:
        tried(patch, asked.target.resolve(), asked.check)
        print(f"{patch.name}: compiles" + ("" if asked.check else " and trains"), flush=True)


main()
