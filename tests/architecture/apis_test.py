#!/usr/bin/env python3
"""Tests of an API stand one to one with its files of routes: receipt_routes.cc is tested by receipt_test.cc.

A file with many tests is split by what they are about: receipt_rows_test.cc. What holds for all routes of an API is
tested by api_test.cc, or api_..._test.cc.
"""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 500


def apis():
    """The name of each API's tests, and the folder of its routes."""
    return re.findall(r"^polder_api_tests\((\w+) OF ([\w/]+)", (ROOT / "CMakeLists.txt").read_text(), re.M)


def has_routes(path):
    return re.search(r"\bk\w*Operations\[\]", path.read_text()) is not None


def route_files(folder):
    return {path.stem.removesuffix("_routes") for path in (ROOT / folder).glob("*.cc") if has_routes(path)}


class Apis(unittest.TestCase):
    def test_every_module_with_routes_has_tests(self):
        modules = {path.parent.relative_to(ROOT).as_posix()
                   for top in ("homeserver", "federation", "media", "appservices")
                   for path in (ROOT / top).rglob("*.cc") if has_routes(path)}
        self.assertEqual(modules, {folder for _, folder in apis()})

    def test_every_file_of_routes_has_tests_and_no_test_stands_alone(self):
        for name, folder in apis():
            routes = route_files(folder)
            tested = set()
            for test in sorted((ROOT / "tests" / name).glob("*")):
                stem = test.name.removesuffix("_test.cc")
                of = {route for route in routes | {"api"} if f"{stem}_".startswith(f"{route}_")}
                self.assertTrue(of, f"{test.relative_to(ROOT)} is of no file of routes in {folder}")
                tested |= of
            self.assertEqual(routes - tested, set(), f"files of routes in {folder} without tests in tests/{name}")

    def test_files_fit_a_head(self):
        for name, _ in apis():
            for test in (ROOT / "tests" / name).glob("*.cc"):
                lines = test.read_text().count("\n")
                self.assertLessEqual(lines, LINES_MAX, f"{test.relative_to(ROOT)}: split it")


if __name__ == "__main__":
    unittest.main()
