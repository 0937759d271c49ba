"""Clients that send as fast as they can, and what they remember of it."""

import http.client
import threading

from homeserver import Client


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


def set_up_rooms(test, server, senders):
    """Two rooms, so that several senders share one."""
    clients = [Client(server) for _ in range(senders)]
    for number, client in enumerate(clients):
        client.register(f"user{number}")
        test.addCleanup(client.close)
    rooms = [clients[0].create_room(preset="public_chat") for _ in range(2)]
    for client in clients[1:]:
        for room in rooms:
            client.join(room)
    return [Sender(client, rooms[i % 2], f"user{i}") for i, client in enumerate(clients)]


def find_all(test, client, room, acknowledged):
    for event, text in acknowledged.items():
        status, found = client.event(room, event)
        test.assertEqual(200, status, f"{event} ({text}) was acknowledged and is gone: {found}")
        test.assertEqual(text, found["content"]["body"])
