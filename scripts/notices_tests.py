#!/usr/bin/env python3
"""Tests of notices.py: which crates it names, and that none goes without its terms."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import notices


class Notices(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.standard = self.folder / "standard"
        self.standard.mkdir()
        (self.standard / "MIT.txt").write_text("the standard text of MIT\n")

    def crate(self, name, licence, files=()):
        folder = self.folder / name
        for file, text in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        return {"name": name, "version": "1.0.0", "license": licence, "license_file": None, "authors": [],
                "repository": None, "manifest_path": str(folder / "Cargo.toml")}

    def test_equal_terms_stand_once_and_those_of_foreign_code_deeper_in_a_crate_are_there(self):
        files = [("LICENSE", "terms\n"), ("foreign/LICENSE", "others\n"), ("foreign/COPYING", "not chosen\n")]
        text = notices.notices([self.crate("a", "X", files), self.crate("b", "X", [("LICENCE.md", "terms \r\n")])],
                               self.standard)
        self.assertEqual((text.count("\nterms\n"), text.count("\nothers\n"), text.count("not chosen")), (1, 1, 0))
        self.assertIn("texts: 1, 2", text)

    def test_a_crate_without_files_gets_the_standard_text_of_what_it_names(self):
        self.assertIn("the standard text of MIT", notices.notices([self.crate("a", "MIT/Apache-2.0")], self.standard))

    def test_no_crate_goes_without_terms(self):
        for name, licence, files in [("a", None, [("LICENSE", "terms")]), ("b", "Nobody-1.0", [])]:
            with self.assertRaisesRegex(ValueError, f"^{name} 1.0.0 has no licence"):
                notices.notices([self.crate(name, licence, files)], self.standard)

    def test_only_what_the_programs_link_is_named(self):
        kinds = {"coordinator": "bin", "layer-node": "bin", "linked": "lib", "macros": "proc-macro"}
        packages = [{"id": name, "name": name, "version": "1.0.0", "targets": [{"kind": [kinds.get(name, "lib")]}],
                     "source": None if name in notices.PROGRAMS else "registry"}
                    for name in [*kinds, "syntax", "build", "test"]]
        of = {"coordinator": [("linked", None), ("build", "build"), ("test", "dev")], "linked": [("macros", None)],
              "macros": [("syntax", None)]}
        nodes = [{"id": package["id"], "deps": [{"pkg": name, "dep_kinds": [{"kind": kind}]}
                                                for name, kind in of.get(package["id"], [])]} for package in packages]
        found = notices.linked({"packages": packages, "workspace_members": notices.PROGRAMS,
                                "resolve": {"nodes": nodes}})
        self.assertEqual([package["name"] for package in found], ["linked", "macros"])


if __name__ == "__main__":
    unittest.main()
