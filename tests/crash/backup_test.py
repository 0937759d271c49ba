#!/usr/bin/env python3
"""Backups of the real binary while clients send: restored elsewhere, they have whatever was acknowledged before."""

import pathlib
import random
import shutil
import sys
import tempfile
import time
import unittest

from homeserver import Client, Homeserver
from sending import find_all, set_up_rooms

BINARY = sys.argv.pop(1)
ROUNDS = 5


class Backup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.server = Homeserver(BINARY, self.make("server"))
        self.server.start()
        self.addCleanup(self.server.kill_if_running)

    def make(self, name):
        (self.folder / name).mkdir()
        return self.folder / name

    def back_up(self, *options):
        return self.server.run("backup", "--to", str(self.folder / "backups"), *options)

    def restore(self, name, *options):
        """A homeserver with what the newest backup has."""
        other = Homeserver(BINARY, self.make(name))
        status, output = other.run_plain("restore", "--from", str(self.folder / "backups"),
                                         "--to", str(other.directory / "data"), *options)
        self.assertEqual(0, status, output)
        return other

    def test_under_load_it_has_what_was_acknowledged_before_it(self):
        senders = set_up_rooms(self, self.server, 4)
        for sender in senders:
            sender.start()
        for number in range(ROUNDS):
            time.sleep(random.uniform(0.2, 0.6))
            before = [dict(sender.acknowledged) for sender in senders]
            status, output = self.back_up()
            self.assertEqual(0, status, output)
            other = self.restore(f"restored{number}")
            status, output = other.run("check")
            self.assertEqual(0, status, output)
            if number == ROUNDS - 1:
                self.server.kill()
            other.start()
            self.addCleanup(other.kill_if_running)
            self.assertGreater(sum(map(len, before)), 0)
            for sender, acknowledged in zip(senders, before):
                client = Client(other, sender.client.token)
                find_all(self, client, sender.room, acknowledged)
                client.close()
            other.kill()
        for sender in senders:
            sender.join()
            self.assertIsNone(sender.failure)

    def test_a_restored_server_goes_on(self):
        """Its key, its users, its media; and clients that know more than it learn of what is new."""
        alice = Client(self.server)
        self.addCleanup(alice.close)
        alice.register("alice")
        room = alice.create_room()
        media = alice.upload(b"a picture")
        self.assertEqual(0, self.back_up()[0])
        alice.send(room, "t1", "lost")
        since = alice.must("GET", "/_matrix/client/v3/sync")["next_batch"]
        key = (self.server.directory / "data" / "signing.key").read_text()
        self.server.kill()
        other = self.restore("other")
        self.assertEqual(key, (other.directory / "data" / "signing.key").read_text())
        self.assertEqual(0o600, (other.directory / "data" / "signing.key").stat().st_mode & 0o777)
        self.assertEqual(self.server.config.read_text(), (other.directory / "data" / "polder.toml").read_text())
        other.start()
        self.addCleanup(other.kill_if_running)
        again = Client(other, alice.token)
        self.addCleanup(again.close)
        self.assertEqual(b"a picture", again.download(media))
        again.send(room, "t2", "new")
        told = again.must("GET", f"/_matrix/client/v3/sync?since={since}")
        events = told["rooms"]["join"][room]["timeline"]["events"]
        self.assertEqual(["new"], [event["content"]["body"] for event in events])

    def test_what_is_damaged_is_said_and_does_not_start(self):
        alice = Client(self.server)
        self.addCleanup(alice.close)
        alice.register("alice")
        self.assertEqual(0, self.back_up()[0])
        backups = self.folder / "backups"
        victim = max((path for path in (backups / "objects").rglob("*") if path.is_file()),
                     key=lambda path: path.stat().st_size)
        good = victim.read_bytes()
        victim.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        status, output = self.server.run_plain("restore", "--from", str(backups))
        self.assertEqual(1, status)
        self.assertIn(str(victim), output)
        other = Homeserver(BINARY, self.make("other"))
        command = ["restore", "--from", str(backups), "--to", str(other.directory / "data")]
        status, output = other.run_plain(*command)
        self.assertEqual(1, status)
        self.assertIn(str(victim), output)
        status, output = other.run("check")
        self.assertEqual(1, status)
        self.assertIn("a restore into it did not come to its end", output)
        victim.write_bytes(good)
        status, output = other.run_plain(*command)
        self.assertEqual(1, status)
        self.assertIn("not empty", output)
        shutil.rmtree(other.directory / "data")
        status, output = other.run_plain(*command)
        self.assertEqual(0, status, output)
        self.assertEqual(0, other.run("check")[0])


if __name__ == "__main__":
    unittest.main()
