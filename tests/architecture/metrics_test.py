#!/usr/bin/env python3
"""Every metric that the sources tell has its row in docs/operations.md, and the reverse; no label names somebody."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Values of these would be as many as there are users, rooms and servers.
UNBOUNDED = {"user", "room", "server", "event", "host", "address", "device"}


def listed():
    """The rows of the table: labels by name."""
    text = (ROOT / "docs/operations.md").read_text()
    section = text[text.index("## Metrics"):text.index("## Backup")]
    return {name: {label.strip() for label in labels.split(",") if label.strip()}
            for name, labels in re.findall(r"^\| `(\w+)` \|([^|]*)\|", section, re.M)}


def told():
    names = set()
    for path in ROOT.rglob("*.cc"):
        if path.parts[len(ROOT.parts)] == "build" or path.name.endswith("_test.cc"):
            continue
        text = path.read_text()
        if "metrics" in text:
            names |= set(re.findall(r'"((?:polder|process)_[a-z_]*[a-z])"', text))
    figures = (ROOT / "storage/kv/rocks_figures.cc").read_text()
    return names | {"polder_store_" + name for name in re.findall(r'\{"([a-z_]+)", "', figures)}


class Metrics(unittest.TestCase):
    def test_the_table_is_complete_and_says_nothing_else(self):
        self.assertEqual(told() - set(listed()), set())
        self.assertEqual(set(listed()) - told(), set())

    def test_no_label_names_somebody(self):
        self.assertEqual({name for name, labels in listed().items() if labels & UNBOUNDED}, set())


if __name__ == "__main__":
    unittest.main()
