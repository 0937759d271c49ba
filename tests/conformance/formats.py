#!/usr/bin/env python3
"""docs/formats/columns.md is what `polder formats` prints.

    tests/conformance/formats.py build/release/polder [--check]

rewrites the page; with --check it fails where the page differs.
"""

import pathlib
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "formats" / "columns.md"


def main(binary, *options):
    text = subprocess.run([binary, "formats"], check=True, capture_output=True, text=True).stdout
    if options != ("--check",):
        PAGE.write_text(text, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.name} is out of date: run tests/conformance/formats.py {binary}")


if __name__ == "__main__":
    main(*sys.argv[1:])
