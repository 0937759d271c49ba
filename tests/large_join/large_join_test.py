#!/usr/bin/env python3
"""The real binary joins a room of 50,000 members: within bounded memory, usable long before all is there, over a kill.

Usage: large_join_test.py POLDER [--members N]; prints what it measured.
"""

import pathlib
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "crash"))

from homeserver import Client, Homeserver  # noqa: E402
from resident import Resident  # noqa: E402

BINARY = sys.argv.pop(1)
MEMBERS = 50_000
if sys.argv[1:2] == ["--members"]:
    MEMBERS = int(sys.argv.pop(2))
    sys.argv.pop(1)
MEMORY_MAX_KB = 256 * 1024
PATIENCE_SECONDS = 240
SUMMARY = '{"room":{"timeline":{"limit":1},"state":{"lazy_load_members":true}}}'


class LargeJoin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.resident = Resident(cls.folder.name, MEMBERS)
        cls.addClassCleanup(cls.resident.stop)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = Homeserver(BINARY, folder.name)
        config = self.server.config.read_text().replace("[federation]\nenabled = false", "")
        config += f'[network]\ndeny_private_addresses = false\n[tls]\nextra_ca_files = ["{self.resident.certificate[0]}"]\n'
        self.server.config.write_text(config)
        self.server.start()
        self.addCleanup(self.server.kill_if_running)
        self.client = Client(self.server)
        self.addCleanup(self.client.close)
        self.client.register("alice")

    def join(self):
        room = self.resident.room
        query = urllib.parse.urlencode({"server_name": room.server})
        self.client.must("POST", f"/_matrix/client/v3/join/{urllib.parse.quote(room.id)}?{query}", {})
        return room.id

    def members(self, room):
        """How many a new client is told of."""
        answer = self.client.must("GET", "/_matrix/client/v3/sync?" + urllib.parse.urlencode({"filter": SUMMARY}))
        return answer["rooms"]["join"][room]["summary"]["m.joined_member_count"]

    def wait_for_all(self, room):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.members(room) < MEMBERS + 2:
            self.assertLess(time.monotonic(), deadline, "the members are not all there")
            time.sleep(0.2)

    def expect_all(self, room):
        members = self.client.must("GET", f"/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/joined_members")
        self.assertEqual(MEMBERS + 2, len(members["joined"]))
        self.client.close()
        self.server.kill()
        status, output = self.server.run("check")
        self.assertEqual(0, status, output)

    def memory_kb(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    def test_a_large_room_is_used_before_all_of_it_is_there(self):
        began = time.monotonic()
        room = self.join()
        self.client.send(room, "first", "hello")
        name = self.client.must("GET", f"/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/state/m.room.name")
        usable = time.monotonic()
        self.assertEqual("A large room", name["name"])
        self.assertLess(self.members(room), MEMBERS)
        self.wait_for_all(room)
        complete = time.monotonic()
        memory = self.memory_kb()
        print(f"{MEMBERS} members: usable after {usable - began:.2f} s, complete after {complete - began:.2f} s, "
              f"memory at most {memory / 1024:.0f} MiB")
        self.assertLess(memory, MEMORY_MAX_KB)
        self.client.send(room, "second", "hello")
        self.expect_all(room)

    def test_what_a_kill_interrupts_goes_on(self):
        room = self.join()
        event = self.client.send(room, "first", "hello")
        self.client.close()
        self.server.kill()
        self.server.start()
        status, answer = self.client.event(room, event)
        self.assertEqual(200, status, answer)
        self.assertLess(self.members(room), MEMBERS)
        self.wait_for_all(room)
        self.assertIn("state", self.resident.http.asked)
        self.expect_all(room)


if __name__ == "__main__":
    unittest.main()
