#!/usr/bin/env python3
"""The real binary purges a room that everybody has left: its bytes leave the disk, and everything else stays."""

import sys
import tempfile
import unittest
import urllib.parse

from homeserver import Client, Homeserver
from sending import find_all

BINARY = sys.argv.pop(1)


class Purge(unittest.TestCase):
    def test_the_disk_is_given_back(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        server = Homeserver(BINARY, folder.name)
        server.start()
        self.addCleanup(server.kill_if_running)
        alice = Client(server)
        self.addCleanup(alice.close)
        alice.register("alice")
        kept, purged = alice.create_room(), alice.create_room()
        acknowledged = {alice.send(kept, f"t{i}", f"kept {i}"): f"kept {i}" for i in range(50)}
        for number in range(300):
            alice.send(purged, f"p{number}", f"secret-of-the-room {number} " + "x" * 2000)
        server.kill()
        status, output = server.run("room", "purge", purged)
        self.assertEqual(1, status)
        self.assertIn("users of this server are in the room", output)
        server.start()
        alice.close()
        alice.must("POST", f"/_matrix/client/v3/rooms/{urllib.parse.quote(purged)}/leave", {})
        server.kill()
        status, output = server.run("room", "purge", purged)
        self.assertEqual(0, status, output)
        status, output = server.run("room", "purge", purged)
        self.assertEqual(1, status)
        self.assertIn("no such room", output)
        for table in (server.directory / "data" / "database").glob("*.sst"):
            self.assertNotIn(b"secret-of-the-room", table.read_bytes())
        status, output = server.run("check")
        self.assertEqual(0, status, output)
        server.start()
        alice.close()
        find_all(self, alice, kept, acknowledged)
        rooms = alice.must("GET", "/_matrix/client/v3/sync")["rooms"]
        self.assertEqual([kept], list(rooms["join"]))


if __name__ == "__main__":
    unittest.main()
