#!/usr/bin/env python3
"""The real binary is killed with SIGKILL while clients send: whatever it acknowledged is there afterwards.

kill_test.py BINARY [TIMES]: so many times, each on an empty directory."""

import random
import sys
import tempfile
import time
import unittest

from homeserver import Homeserver
from sending import find_all, set_up_rooms

BINARY = sys.argv.pop(1)
TIMES = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 1
ROUNDS = 20  # of each time
SENDERS = 6
SEED = random.SystemRandom().randrange(1 << 32)


class Kill(unittest.TestCase):
    def test_everything_acknowledged_outlives_sigkill(self):
        for seed in range(SEED, SEED + TIMES):
            print(f"seed {seed}", flush=True)
            self.kill_again_and_again(random.Random(seed))

    def kill_again_and_again(self, chance):
        with tempfile.TemporaryDirectory() as directory:
            server = Homeserver(BINARY, directory)
            server.start()
            self.addCleanup(server.kill_if_running)
            senders = set_up_rooms(self, server, SENDERS)
            for _ in range(ROUNDS):
                for sender in senders:
                    sender.start()
                time.sleep(chance.uniform(0.05, 0.5))
                server.kill()
                for sender in senders:
                    sender.join()
                    self.assertIsNone(sender.failure)
                self.check(server)
                server.start()
                for sender in senders:
                    find_all(self, sender.client, sender.room, sender.acknowledged)
                senders = [sender.again() for sender in senders]
            self.assertGreater(sum(len(sender.acknowledged) for sender in senders), ROUNDS * SENDERS)
            server.kill()
            self.check(server)
            self.refuses_another_name(directory)

    def check(self, server):
        status, output = server.run("check")
        self.assertEqual(0, status, output)

    def refuses_another_name(self, directory):
        status, output = Homeserver(BINARY, directory, name="other.example").run("check")
        self.assertEqual(1, status)
        self.assertIn("belongs to localhost", output)


if __name__ == "__main__":
    unittest.main()
