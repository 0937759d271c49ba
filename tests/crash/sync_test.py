#!/usr/bin/env python3
"""A system-call trace of the real binary: between a request that changes something and its answer, the write log
was written and then synced."""

import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

from homeserver import Client, Homeserver

BINARY = sys.argv.pop(1)
MESSAGES = 20

RECEIVING = ("read", "readv", "recvfrom", "recvmsg")
SENDING = ("write", "writev", "sendto", "sendmsg")
WRITING = ("write", "writev", "pwrite64", "pwritev")
SYNCING = ("fdatasync", "fsync")
CALLS = sorted({*RECEIVING, *SENDING, *WRITING, *SYNCING})

# 1234 fdatasync(9</tmp/data/database/000004.log>) = 0
CALL = re.compile(r"^(\d+) +(\w+)\((\d+)<([^>]*)>(.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
WRITE_LOG = re.compile(r"/database/\d+\.log$")


def calls(lines):
    """(line at which it began, line at which it ended, name, file, text of both) of each call, in the order of their ends."""
    begun = {}
    for number, line in enumerate(lines):
        call = CALL.match(line)
        if call:
            thread, name, _, file, rest = call.groups()
            if rest.endswith("<unfinished ...>"):
                begun[thread] = (number, name, file, rest)
            else:
                yield number, number, name, file, rest
            continue
        resumed = RESUMED.match(line)
        if resumed and resumed.group(1) in begun:
            start, name, file, rest = begun.pop(resumed.group(1))
            yield start, number, name, file, rest + resumed.group(3)


class Trace:
    def __init__(self, text):
        self.calls = list(calls(text.splitlines()))

    def exchange(self, request):
        """When a request was there, and when the first byte of its answer was sent."""
        received = socket = None
        for start, end, name, file, text in self.calls:
            if name in RECEIVING and request in text:
                received, socket = end, file
            elif received is not None and name in SENDING and file == socket and "HTTP/1.1 200" in text:
                return received, start
        raise AssertionError(f"the trace has no exchange {request}")

    def synced_writes(self, begin, end):
        """How many syncs of a write log came after a write to it, all within (begin, end)."""
        written, count = set(), 0
        for start, done, name, file, text in self.calls:
            if start < begin or done > end or not WRITE_LOG.search(file):
                continue
            if name in WRITING:
                written.add((file, done))
            elif name in SYNCING and re.search(r"= 0$", text):
                count += any(of == file and at < start for of, at in written)
        return count


class SyncBeforeReply(unittest.TestCase):
    def test_every_answer_waits_for_the_sync_of_its_write(self):
        with tempfile.TemporaryDirectory() as directory:
            trace_file = pathlib.Path(directory) / "trace"
            server = Homeserver(BINARY, directory)
            server.start(["strace", "-f", "-y", "-q", "-s", "200", "-e", "signal=none",
                          "-e", "trace=" + ",".join(CALLS), "-o", str(trace_file)])
            self.addCleanup(server.kill_if_running)
            alice = Client(server)
            self.addCleanup(alice.close)
            requests = self.talk(alice)
            server.end_children(signal.SIGTERM)
            trace = Trace(trace_file.read_text(errors="replace"))
        for request in requests:
            received, answered = trace.exchange(request)
            self.assertGreater(trace.synced_writes(received, answered), 0,
                               f"{request} was answered before the write log was synced")
        # The test can tell: reading syncs nothing.
        received, answered = trace.exchange("GET /_matrix/client/v3/account/whoami")
        self.assertEqual(0, trace.synced_writes(received, answered))

    def talk(self, alice):
        """Requests that change something, one after the other, as their first lines begin."""
        alice.register("alice")
        room = alice.create_room()
        requests = ["POST /_matrix/client/v3/register", "POST /_matrix/client/v3/createRoom"]
        for number in range(MESSAGES):
            alice.send(room, f"t{number}x", f"message {number}")
            requests.append("PUT " + alice.send_path(room, f"t{number}x"))
        alice.must("GET", "/_matrix/client/v3/account/whoami")
        return requests


def ptrace_works():
    done = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return done.returncode == 0, done.stderr


if __name__ == "__main__":
    works, why = ptrace_works()
    if not works:
        sys.exit(f"strace cannot trace here, so nothing is known: {why}")
    unittest.main()
