"""A homeserver that does nothing but be in one large room, of which it tells who joins.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

import base64
import ctypes
import ctypes.util
import hashlib
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import time
import urllib.parse

ROOM_VERSION = "11"
KEY_ID = "ed25519:1"
# What a redaction of version 11 leaves of the contents of the events that the room is made of.
KEPT = {
    "m.room.create": None,  # all
    "m.room.member": {"membership", "join_authorised_via_users_server"},
    "m.room.join_rules": {"join_rule", "allow"},
    "m.room.power_levels": {"ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users",
                            "users_default"},
    "m.room.history_visibility": {"history_visibility"},
}


def canonical(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def unpadded(data, url=False):
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    return encode(data).decode().rstrip("=")


class SigningKey:
    def __init__(self):
        self.sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
        self.public = ctypes.create_string_buffer(32)
        self.secret = ctypes.create_string_buffer(64)
        self.sodium.crypto_sign_seed_keypair(self.public, self.secret, b"a resident server's signing key ")

    def sign(self, message):
        signature = ctypes.create_string_buffer(64)
        self.sodium.crypto_sign_detached(signature, None, message, ctypes.c_ulonglong(len(message)), self.secret)
        return unpadded(signature.raw)


def redacted(pdu):
    kept = KEPT.get(pdu["type"], set())
    content = pdu["content"] if kept is None else {k: v for k, v in pdu["content"].items() if k in kept}
    return {**{k: v for k, v in pdu.items() if k not in ("unsigned", "signatures")}, "content": content}


class Room:
    """A room of version 11 with members of several servers, which all have the same key."""

    def __init__(self, servers, members, key):
        self.key = key
        self.server = servers[0]
        self.id = f"!large:{self.server}"
        self.state = []
        self.ids = {}
        self.depth = 0
        self.last = []
        creator = f"@creator:{self.server}"
        self.add(creator, "m.room.create", "", {"room_version": ROOM_VERSION})
        self.add(creator, "m.room.member", creator, {"membership": "join"})
        self.add(creator, "m.room.power_levels", "", {"users": {creator: 100}})
        self.add(creator, "m.room.join_rules", "", {"join_rule": "public"})
        self.add(creator, "m.room.history_visibility", "", {"history_visibility": "shared"})
        self.add(creator, "m.room.name", "", {"name": "A large room"})
        for number in range(members):
            user = f"@user{number}:{servers[number % len(servers)]}"
            content = {"membership": "join", "displayname": f"User of a large room, number {number}",
                       "avatar_url": f"mxc://{self.server}/{number:032x}"}
            self.add(user, "m.room.member", user, content)
        self.auth_chain = [self.state[0][1], *[self.state[i][1] for i in (1, 2, 3)]]

    def auth_events(self, sender, kind):
        keys = [("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", sender)]
        if kind == "m.room.member":
            keys.append(("m.room.join_rules", ""))
        return [self.ids[key] for key in keys if key in self.ids]

    def add(self, sender, kind, state_key, content):
        self.depth += 1
        pdu = {"auth_events": [] if kind == "m.room.create" else self.auth_events(sender, kind), "content": content,
               "depth": self.depth, "origin_server_ts": int(time.time() * 1000), "prev_events": self.last,
               "room_id": self.id, "sender": sender, "state_key": state_key, "type": kind}
        pdu["hashes"] = {"sha256": unpadded(hashlib.sha256(canonical(pdu)).digest())}
        essence = canonical(redacted(pdu))
        event_id = "$" + unpadded(hashlib.sha256(essence).digest(), url=True)
        pdu["signatures"] = {sender.split(":", 1)[1]: {KEY_ID: self.key.sign(essence)}}
        self.state.append((event_id, canonical(pdu)))
        self.ids[(kind, state_key)] = event_id
        self.last = [event_id]

    def template(self, user):
        return {"room_version": ROOM_VERSION, "event": {
            "auth_events": self.auth_events(user, "m.room.member"), "content": {"membership": "join"},
            "depth": self.depth + 1, "origin_server_ts": int(time.time() * 1000), "prev_events": self.last,
            "room_id": self.id, "sender": user, "state_key": user, "type": "m.room.member"}}

    def whole(self, state_list):
        """The answer to a join, or with the state before it: its bytes in pieces."""
        for name, events, end in ((state_list, [pdu for _, pdu in self.state], b","), ("auth_chain", self.auth_chain, b"")):
            yield b'%s"%s":[' % (b"{" if name == state_list else b"", name.encode())
            for first in range(0, len(events), 100):
                yield (b"," if first else b"") + b",".join(events[first:first + 100])
            yield b"]" + end
        yield b"}"

    def state_ids(self):
        return {"pdu_ids": [event_id for event_id, _ in self.state],
                "auth_chain_ids": [event_id for event_id, _ in self.state[:4]]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, value, status=200):
        body = canonical(value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_in_pieces(self, pieces):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def keys(self):
        name = self.headers["Host"]
        keys = {"server_name": name, "valid_until_ts": int(time.time() * 1000) + 86_400_000, "old_verify_keys": {},
                "verify_keys": {KEY_ID: {"key": unpadded(self.server.key.public.raw)}}}
        keys["signatures"] = {name: {KEY_ID: self.server.key.sign(canonical(keys))}}
        return keys

    def route(self):
        room = self.server.room
        path = urllib.parse.urlparse(self.path).path
        parts = [urllib.parse.unquote(part) for part in path.split("/")]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/_matrix/key/v2/server":
            return self.answer(self.keys())
        what = parts[4]
        self.server.asked.append(what)
        if what == "make_join":
            return self.answer(room.template(parts[6]))
        if what in ("send_join", "state"):
            return self.answer_in_pieces(room.whole("state" if what == "send_join" else "pdus"))
        if what == "state_ids":
            return self.answer(room.state_ids())
        if what == "send":
            return self.answer({"pdus": {}})
        return self.answer({"errcode": "M_UNRECOGNIZED", "error": "not here"}, 404)

    do_GET = do_PUT = do_POST = route


class Resident:
    """Listens on several loopback addresses at once: one server for each, with members in the room."""

    def __init__(self, directory, members, servers=8):
        addresses = [f"127.0.0.{2 + i}" for i in range(servers)]
        self.certificate = certificate(pathlib.Path(directory), addresses)
        key = SigningKey()
        self.http = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        port = self.http.server_address[1]
        self.room = Room([f"{address}:{port}" for address in addresses], members, key)
        self.http.key, self.http.room, self.http.asked = key, self.room, []
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


def certificate(directory, addresses):
    """(certificate, key), signed by itself, for all the addresses."""
    files = directory / "resident.crt", directory / "resident.key"
    names = ",".join(f"IP:{address}" for address in addresses)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=resident", "-addext", f"subjectAltName={names}", "-keyout", files[1], "-out", files[0]],
                   check=True, capture_output=True)
    return files
