#!/usr/bin/env python3
"""CMake refuses an upward dependency when it configures, and an undeclared include when it compiles."""

import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(layers LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 20)
add_library(polder_options INTERFACE)
add_library(polder_pch STATIC {root}/.cmake/pch.cc)
target_precompile_headers(polder_pch PRIVATE {root}/.cmake/pch.h)
include({root}/.cmake/polder.cmake)
{modules}
"""


class Layering(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        for module in ("low", "middle", "high"):
            (self.path / module).mkdir()
            (self.path / module / "api.h").write_text("#pragma once\n")
            (self.path / module / "code.cc").write_text(f'#include "{module}/api.h"\n')

    def run_cmake(self, *arguments):
        return subprocess.run(["cmake", *arguments], cwd=self.path, capture_output=True, text=True)

    def configure(self, *modules):
        (self.path / "CMakeLists.txt").write_text(PROJECT.format(root=ROOT, modules="\n".join(modules)))
        return self.run_cmake("-S", ".", "-B", "build", "-G", "Ninja", "-DCMAKE_CXX_COMPILER=clang++-19")

    def build(self):
        return self.run_cmake("--build", "build")

    def test_downward_dependencies_are_allowed(self):
        (self.path / "high" / "code.cc").write_text('#include "low/api.h"\n')
        done = self.configure("polder_module(low LEVEL 0)", "polder_module(high LEVEL 2 DEPS low)")
        self.assertEqual(done.returncode, 0, done.stderr)
        built = self.build()
        self.assertEqual(built.returncode, 0, built.stdout)

    def test_upward_dependency_is_refused_at_configure_time(self):
        done = self.configure("polder_module(high LEVEL 2)", "polder_module(low LEVEL 0 DEPS high)")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("low (level 0) must not depend on high (level 2)", " ".join(done.stderr.split()))

    def test_dependency_on_the_same_level_is_refused(self):
        done = self.configure("polder_module(low LEVEL 1)", "polder_module(middle LEVEL 1 DEPS low)")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("numbers only go down", " ".join(done.stderr.split()))

    def test_unknown_module_is_refused(self):
        done = self.configure("polder_module(low LEVEL 1 DEPS nothing)")
        self.assertNotEqual(done.returncode, 0)

    def test_undeclared_include_does_not_compile(self):
        (self.path / "high" / "code.cc").write_text('#include "low/api.h"\n')
        done = self.configure("polder_module(low LEVEL 0)", "polder_module(high LEVEL 2)")
        self.assertEqual(done.returncode, 0, done.stderr)
        built = self.build()
        self.assertNotEqual(built.returncode, 0)
        self.assertIn("'low/api.h' file not found", built.stdout)


if __name__ == "__main__":
    unittest.main()
