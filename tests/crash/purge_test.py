#!/usr/bin/env python3
"""The real binary purges a room that everybody has left, and the history of one that goes on: the bytes leave the
disk, and everything else stays."""

import subprocess
import sys
import tempfile
import time
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

    def administrator(self, server):
        subprocess.run([BINARY, "user", "create", "--config", str(server.config), "--admin", "root"], input="secret\n",
                       text=True, check=True, capture_output=True)
        server.start()
        root = Client(server)
        self.addCleanup(root.close)
        root.token = root.must("POST", "/_matrix/client/v3/login", {
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "root"},
            "password": "secret"})["access_token"]
        return root

    def wait_for(self, root, purge):
        deadline = time.monotonic() + 60
        path = "/_synapse/admin/v1/purge_history_status/" + urllib.parse.quote(purge)
        while root.must("GET", path)["status"] != "complete":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_history_goes_while_the_server_runs_and_after_it_was_killed(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        server = Homeserver(BINARY, folder.name)
        self.addCleanup(server.kill_if_running)
        root = self.administrator(server)
        room = root.create_room()
        for number in range(600):
            root.send(room, f"p{number}", f"secret-of-the-past {number} " + "x" * 1000)
        kept = {root.send(room, f"t{i}", f"kept {i}"): f"kept {i}" for i in range(20)}
        path = "/_synapse/admin/v1/purge_history/" + urllib.parse.quote(room)
        purge = root.must("POST", path, {"delete_local_events": True, "purge_up_to_event_id": next(iter(kept))})
        server.kill()
        status, output = server.run("check")
        self.assertEqual(0, status, output)
        server.start()
        root.close()
        kept[root.send(room, "meanwhile", "meanwhile")] = "meanwhile"
        self.wait_for(root, purge["purge_id"])
        find_all(self, root, room, kept)
        self.assertTrue(server.logs("history_purged"))
        server.kill()
        status, output = server.run("check")
        self.assertEqual(0, status, output)
        for table in (server.directory / "data" / "database").glob("*.sst"):
            self.assertNotIn(b"secret-of-the-past", table.read_bytes())


if __name__ == "__main__":
    unittest.main()
