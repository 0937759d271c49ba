#!/usr/bin/env python3
"""The real binary is killed with SIGKILL while clients send: whatever it acknowledged is there afterwards."""

import http.client
import random
import sys
import tempfile
import threading
import time
import unittest

from homeserver import Client, Homeserver

BINARY = sys.argv.pop(1)
ROUNDS = 20
SENDERS = 6
SEED = random.SystemRandom().randrange(1 << 32)


class Sender(threading.Thread):
    """Sends until the server goes away. A transaction that was not answered is sent again in the next round."""

    def __init__(self, client, room, name):
        super().__init__()
        self.client, self.room, self.name_ = client, room, name
        self.next = 0
        self.acknowledged = {}  # event id: text
        self.failure = None

    def again(self):
        other = Sender(self.client, self.room, self.name_)
        other.next, other.acknowledged = self.next, self.acknowledged
        return other

    def run(self):
        while True:
            text = f"{self.name_} {self.next}"
            try:
                event = self.client.send(self.room, f"t{self.next}", text)
            except (OSError, http.client.HTTPException, ValueError):
                return
            except RuntimeError as refused:
                self.failure = refused
                return
            if self.acknowledged.setdefault(event, text) != text:
                self.failure = f"{event} was given twice"
                return
            self.next += 1


class Kill(unittest.TestCase):
    def test_everything_acknowledged_outlives_sigkill(self):
        print(f"seed {SEED}", flush=True)
        chance = random.Random(SEED)
        with tempfile.TemporaryDirectory() as directory:
            server = Homeserver(BINARY, directory)
            server.start()
            self.addCleanup(server.kill)
            senders = self.set_up_rooms(server)
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
                self.find_all(senders)
                senders = [sender.again() for sender in senders]
            self.assertGreater(sum(len(sender.acknowledged) for sender in senders), ROUNDS * SENDERS)
            server.kill()
            self.check(server)
            self.refuses_another_name(directory)

    def set_up_rooms(self, server):
        """Two rooms, so that several senders share one."""
        clients = [Client(server) for _ in range(SENDERS)]
        for number, client in enumerate(clients):
            client.register(f"user{number}")
            self.addCleanup(client.close)
        rooms = [clients[0].create_room(preset="public_chat") for _ in range(2)]
        for client in clients[1:]:
            for room in rooms:
                client.join(room)
        return [Sender(client, rooms[i % 2], f"user{i}") for i, client in enumerate(clients)]

    def find_all(self, senders):
        for sender in senders:
            for event, text in sender.acknowledged.items():
                status, found = sender.client.event(sender.room, event)
                self.assertEqual(200, status, f"{event} ({text}) was acknowledged and is gone: {found}")
                self.assertEqual(text, found["content"]["body"])

    def check(self, server):
        status, output = server.run("check")
        self.assertEqual(0, status, output)

    def refuses_another_name(self, directory):
        status, output = Homeserver(BINARY, directory, name="other.example").run("check")
        self.assertEqual(1, status)
        self.assertIn("belongs to localhost", output)


if __name__ == "__main__":
    unittest.main()
