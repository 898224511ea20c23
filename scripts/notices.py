#!/usr/bin/env python3
"""Write NOTICES and licenses/ into a folder: the terms of everything that the packed programs and libraries consist of.

NOTICES has one entry and the licence files of each crate that `coordinator` and `layer-node` link. licenses/ has the
files of Rust's standard library and, where a folder of libtorch is named, those of the libraries in it. The order and
the text depend on nothing but Cargo.lock, the sources of the crates and the toolchain. A part without a licence fails.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ["coordinator", "layer-node"]
TARGET = "x86_64-unknown-linux-gnu"
# COPYING is not among the nested ones: there it is the other half of a choice, as in zstd.
BESIDE_MANIFEST = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
DEEPER = re.compile(r"licen[cs]e", re.IGNORECASE)
# libtorch's wheels bring this library without its terms.
LIBGOMP = ["GPL-3.0-or-later", "GCC-exception-3.1"]
RULE = "=" * 100
HEAD = """\
Neuropil is under the MIT licence, in LICENSE. Its programs contain the Rust crates below, each under terms of
its own, and Rust's standard library, whose terms are in licenses/rust/. The terms of the libraries in lib/, where
there are some, are in licenses/ as well.

"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--libtorch", type=pathlib.Path, help="the folder whose libraries are packed as well")
    options = parser.parse_args()
    try:
        documents = toolchain_documents()
        crates = linked(metadata())
        text = notices(crates, documents / "licenses")
        (options.folder / "NOTICES").write_text(text)
        licences(options.folder / "licenses", documents, options.libtorch)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"notices.py: {error}")
    print(f"NOTICES: the terms of {len(crates)} crates, {len(text) // 1000} kB", flush=True)


def metadata():
    """What cargo says of all packages. It fetches those that only tests use, since a build of the programs did not."""
    words = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={TARGET}"]
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked(metadata):
    """The packages that the programs link, by name and version.

    Dependencies of builds and tests are none of them. A crate of macros is one, since its text is in what it expands
    to; the crates that it runs on are not.
    """
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [key for key in metadata["workspace_members"] if packages[key]["name"] in PROGRAMS]
    found = {}
    while waiting:
        key = waiting.pop()
        if key in found:
            continue
        found[key] = packages[key]
        if not any("proc-macro" in target["kind"] for target in packages[key]["targets"]):
            waiting += [dependency["pkg"] for dependency in nodes[key]["deps"]
                        if any(kind["kind"] is None for kind in dependency["dep_kinds"])]
    foreign = [package for package in found.values() if package["source"] is not None]
    return sorted(foreign, key=lambda package: (package["name"], package["version"]))


def notices(crates, standard):
    """An entry per crate, then every different text once, by the number that the entries name."""
    numbers, entries = {}, []
    for crate in crates:
        expression = crate["license"] or ("see its text" if crate["license_file"] else None)
        texts = texts_of(crate, standard)
        if expression is None or not texts:
            folder = pathlib.Path(crate["manifest_path"]).parent
            raise ValueError(f"{crate['name']} {crate['version']} has no licence in {folder}: leave the crate out, or "
                             "have texts_of() find it there")
        named = sorted(numbers.setdefault(text, len(numbers) + 1) for text in texts)
        entries.append(entry(crate, expression, named))
    bodies = [f"{RULE}\nText {number}\n{RULE}\n\n{text}\n" for text, number in numbers.items()]
    return HEAD + "\n".join(entries) + "\n" + "\n".join(bodies)


def entry(crate, expression, texts):
    authors = ", ".join(crate["authors"]) or "its contributors"
    return (f"{crate['name']} {crate['version']}\n    {expression}; by {authors}\n    {address(crate)}\n"
            f"    texts: {', '.join(map(str, texts))}\n")


def address(crate):
    return crate["repository"] or "no address given"


def texts_of(crate, standard):
    """The texts of a crate's licence files; where it has none, the standard texts of the licences that it names."""
    folder = pathlib.Path(crate["manifest_path"]).parent
    files = [file for file in folder.rglob("*") if file.is_file() and is_licence(file, folder)]
    if crate["license_file"]:
        files.append(folder / crate["license_file"])
    if not files and crate["license"]:
        files = [standard / f"{name}.txt" for name in re.split(r"[/() ]+| OR | AND ", crate["license"])]
        files = [file for file in files if file.exists()]
    return [normal(file.read_text(encoding="utf-8", errors="replace")) for file in sorted(set(files))]


def is_licence(file, folder):
    pattern = BESIDE_MANIFEST if file.parent == folder else DEEPER
    return pattern.match(file.name) is not None and file.suffix not in (".rs", ".py", ".sh")


def normal(text):
    """The text with one kind of line ends and without spaces there, so that equal terms are printed once."""
    return "\n".join(line.rstrip() for line in text.strip("\ufeff\r\n").splitlines())


def toolchain_documents():
    """The folder with the terms of Rust's standard library, and the standard texts of licences."""
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    folder = pathlib.Path(sysroot.stdout.strip()) / "share/doc/rust"
    if not (folder / "COPYRIGHT-library.html").exists():
        raise ValueError(f"{folder}/COPYRIGHT-library.html is not there: use a toolchain of rustup, which has it")
    return folder


def licences(folder, documents, libtorch):
    shutil.rmtree(folder, ignore_errors=True)
    copy(documents / "COPYRIGHT-library.html", folder / "rust")
    for name in ["Apache-2.0", "MIT"]:
        copy(documents / f"licenses/{name}.txt", folder / "rust")
    if libtorch is None:
        return
    if not (libtorch / "licenses").is_dir():
        raise ValueError(f"{libtorch}/licenses is not there, so this libtorch cannot be packed: put its licences there")
    for file in sorted(file for file in (libtorch / "licenses").rglob("*") if file.is_file()):
        copy(file, folder / file.relative_to(libtorch / "licenses").parent)
    for name in LIBGOMP:
        copy(documents / f"licenses/{name}.txt", folder / "libgomp")


def copy(file, folder):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    main()
