#!/usr/bin/env python3
"""Damaged files of the real binary, one after the other: it does not start, or `polder check` and the log name the
file, and with the file put back everything acknowledged is there."""

import http.client
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

from homeserver import Client, Homeserver
from sending import find_all

BINARY = sys.argv.pop(1)
PICTURE = b"a picture" * 100


class Damage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """A data directory with tables, a write log and media."""
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.server = Homeserver(BINARY, cls.folder.name)
        cls.server.start()
        cls.alice = Client(cls.server)
        cls.alice.register("alice")
        cls.room = cls.alice.create_room()
        cls.picture = cls.alice.upload(PICTURE)
        cls.acknowledged = {}
        for start in range(2):
            for number in range(200):
                text = f"{start} {number}"
                cls.acknowledged[cls.alice.send(cls.room, f"t{start}-{number}", text)] = text
            cls.alice.close()
            cls.server.kill()
            if start == 0:
                cls.server.start()  # what is in the log becomes tables
        cls.data = cls.server.directory / "data"
        cls.good = cls.server.directory / "good"
        shutil.copytree(cls.data, cls.good)

    def setUp(self):
        shutil.rmtree(self.data)
        shutil.copytree(self.good, self.data)
        self.addCleanup(self.server.kill_if_running)
        self.addCleanup(self.alice.close)

    def only(self, pattern):
        """The largest file that matches."""
        return max(self.data.glob(pattern), key=lambda path: path.stat().st_size)

    def flip(self, path, place):
        content = bytearray(path.read_bytes())
        content[int(len(content) * place)] ^= 0x10
        path.write_bytes(content)

    def refuses(self, *names):
        """Neither starts nor checks; both say which file."""
        for command in ("serve", "check"):
            status, output = self.server.run(command)
            self.assertEqual(1, status, output)
            self.assertTrue(any(name in output for name in names), f"{command}: {output}")

    def recovers(self):
        """With the files put back."""
        self.alice.close()
        self.server.kill_if_running()
        shutil.rmtree(self.data)
        shutil.copytree(self.good, self.data)
        status, output = self.server.run("check")
        self.assertEqual(0, status, output)
        self.server.start()
        find_all(self, self.alice, self.room, self.acknowledged)
        self.assertEqual(PICTURE, self.alice.download(self.picture))

    def test_the_write_log(self):
        log = self.only("database/*.log")
        self.flip(log, 0.5)
        self.refuses(log.name)
        self.recovers()

    def test_the_manifest(self):
        manifest = self.only("database/MANIFEST-*")
        self.flip(manifest, 0.5)
        self.refuses(manifest.name)
        self.recovers()

    def test_the_pointer_to_the_manifest(self):
        current = self.data / "database" / "CURRENT"
        for content in (None, b"", b"MANIFEST-999999\n", b"nonsense\n"):
            with self.subTest(content=content):
                if content is None:
                    current.unlink()
                else:
                    current.write_bytes(content)
                self.refuses("CURRENT", "MANIFEST-999999", "nonsense")
                self.assertTrue(list(self.data.glob("database/*.sst")), "nothing is removed")
        self.recovers()

    def test_a_missing_table(self):
        table = self.only("database/*.sst")
        table.unlink()
        self.refuses(table.stem)  # RocksDB says .ldb of a table that it does not find
        self.recovers()

    def test_a_table(self):
        """Everywhere in it."""
        for place in (0.05, 0.3, 0.5, 0.8, 0.99):
            with self.subTest(place=place):
                self.setUp()
                table = self.only("database/*.sst")
                self.flip(table, place)
                status, output = self.server.run("check")
                self.assertEqual(1, status, output)
                self.assertIn(table.name, output)
        self.recovers()

    def test_a_table_under_a_running_server(self):
        """What cannot be read is an error, never something else; the log names the file."""
        self.server.start()
        table = self.only("database/*.sst")
        self.flip(table, 0.1)
        failed = 0
        for event, text in self.acknowledged.items():
            status, found = self.alice.event(self.room, event)
            if status == 200:
                self.assertEqual(text, found["content"]["body"])
            else:
                self.assertEqual((500, "M_UNKNOWN"), (status, found["errcode"]))
                failed += 1
        if failed:
            self.assertRegex("".join(self.server.lines), re.escape(table.name))
        self.recovers()

    def test_the_signing_key(self):
        for content in (b"", b"nonsense", b"ed25519 a 1"):
            with self.subTest(content=content):
                (self.data / "signing.key").write_bytes(content)
                status, output = self.server.run("serve")
                self.assertEqual(1, status)
                self.assertIn("signing.key", output)
        self.recovers()

    def test_media(self):
        file = next(path for path in self.data.glob("media/??/*"))
        self.flip(file, 0.5)
        status, output = self.server.run("check")
        self.assertEqual(1, status, output)
        self.assertIn(str(file), output)
        self.server.start()
        with self.assertRaises((RuntimeError, OSError, http.client.HTTPException)):
            self.alice.download(self.picture)
        self.assertTrue(self.server.logs(str(file)), self.server.lines)
        find_all(self, self.alice, self.room, self.acknowledged)
        self.recovers()


if __name__ == "__main__":
    unittest.main()
