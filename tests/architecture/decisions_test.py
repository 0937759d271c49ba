#!/usr/bin/env python3
"""Code refers to decisions by number: each of them stands in docs/architecture.md."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("homeserver", "federation", "storage", "media", "appservices", "bench", "tests", ".cmake")
REFERENCE = re.compile(r"\b[Dd]ecisions?\s+(\d+(?:(?:,|\s+and|\s+to)\s+\d+)*)")


def decisions():
    """The numbers of the section, in its order."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = re.search(r"^## Decisions$(.*?)^## ", text, re.M | re.S).group(1)
    return [int(number) for number in re.findall(r"^(\d+)\. \*\*", section, re.M)]


def references():
    """The file and number of each reference; a comment's lines are one text."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".h", ".cc", ".py", ".cmake"):
                continue
            text = re.sub(r"\n\s*(//|#)", " ", path.read_text())
            for reference in REFERENCE.findall(text):
                for number in re.findall(r"\d+", reference):
                    yield path.relative_to(ROOT).as_posix(), int(number)


class Decisions(unittest.TestCase):
    def test_they_are_numbered_without_a_gap(self):
        found = decisions()
        self.assertEqual(found, list(range(1, len(found) + 1)))

    def test_every_one_that_the_code_names_is_there(self):
        known = set(decisions())
        named = list(references())
        self.assertNotEqual(named, [])
        self.assertEqual([], [f"{path} names decision {number}" for path, number in named if number not in known])


if __name__ == "__main__":
    unittest.main()
