#!/usr/bin/env python3
"""A disk that is full, or that fails, under the real binary: writing stops with an error that says so, reading goes on,
nothing acknowledged is lost, and once the cause is gone writing goes on by itself."""

import http.client
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from homeserver import Client, Homeserver
from sending import find_all

BINARY = sys.argv.pop(1)
MESSAGE = "x" * 20_000
RECOVERY_SECONDS = 60


class Disk(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = Homeserver(BINARY, folder.name)
        self.addCleanup(self.server.kill_if_running)
        self.acknowledged = {}
        self.sent = 0

    def begin(self, wrapper=()):
        self.server.start(wrapper)
        self.alice = Client(self.server)
        self.addCleanup(self.alice.close)
        self.alice.register("alice")
        self.room = self.alice.create_room()

    def send(self):
        """The status of a message's answer."""
        self.sent += 1
        text = f"{self.sent} {MESSAGE}"
        status, answer = self.alice.call("PUT", self.alice.send_path(self.room, f"t{self.sent}"),
                                         {"msgtype": "m.text", "body": text})
        if status == 200:
            self.acknowledged[answer["event_id"]] = text
        else:
            self.assertEqual((503, "M_UNKNOWN"), (status, answer["errcode"]))
            self.assertIn("writing has stopped", answer["error"])
            self.assertNotIn("/", answer["error"])
        return status

    def send_until_it_stops(self, most=5000):
        for _ in range(most):
            if self.send() != 200:
                return
        self.fail("writing never stopped")

    def assert_stopped(self, reason):
        """Nothing is written, one can read, and both health and log say so."""
        self.assertNotEqual(200, self.send())
        self.assertEqual((503, {"status": "read_only"}), self.alice.call("GET", "/health"))
        find_all(self, self.alice, self.room, dict([next(iter(self.acknowledged.items()))]))
        log = "".join(self.server.lines)
        self.assertRegex(log, f"commit_failed .*{reason}")

    def wait_for_recovery(self):
        end = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < end:
            try:
                if self.alice.call("GET", "/health")[0] == 200:
                    return
            except (OSError, http.client.HTTPException, ValueError):
                pass  # it is starting anew
            time.sleep(0.2)
        self.fail("it did not recover:\n" + "".join(self.server.lines[-20:]))

    def assert_recovered(self):
        self.wait_for_recovery()
        find_all(self, self.alice, self.room, self.acknowledged)
        for _ in range(20):
            self.assertEqual(200, self.send())
        find_all(self, self.alice, self.room, self.acknowledged)
        process = self.server.process
        process.send_signal(signal.SIGTERM)
        self.server.wait()
        self.assertEqual(0, process.returncode)

    def check(self):
        status, output = self.server.run("check")
        self.assertEqual(0, status, output)

    def test_files_that_may_grow_no_further(self):
        """As on a full disk a write takes a part of what it should, and then fails; anybody can have that."""
        self.begin()
        for _ in range(2):
            self.limit_files(1_000_000)
            self.send_until_it_stops()
            self.assert_stopped("File too large")
            find_all(self, self.alice, self.room, self.acknowledged)
            self.limit_files(resource.RLIM_INFINITY)
            self.wait_for_recovery()
        self.assert_recovered()
        self.check()

    def limit_files(self, size):
        resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    @unittest.skipUnless(subprocess.run(["unshare", "-rm", "true"], check=False).returncode == 0,
                         "no file system can be mounted here")
    def test_a_full_disk(self):
        data = self.server.directory / "data"
        data.mkdir()
        inside = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs -o size=32m none {data} && echo there && exec sleep 600"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(inside.stdout.close)
        self.addCleanup(inside.wait)
        self.addCleanup(inside.kill)
        self.assertEqual("there\n", inside.stdout.readline())
        self.server.prefix = ("nsenter", "-t", str(inside.pid), "-U", "-m", "--preserve-credentials")
        self.begin()
        self.send()
        filling = pathlib.Path(f"/proc/{inside.pid}/root{data}/filling")
        for _ in range(2):
            self.fill(filling)
            self.send_until_it_stops()
            self.assert_stopped("No space left on device")
            find_all(self, self.alice, self.room, self.acknowledged)
            status, answer = self.alice.exchange("POST", "/_matrix/media/v3/upload", b"x" * 1_000_000)
            self.assertEqual(500, status, answer)
            filling.unlink()
            self.wait_for_recovery()
        self.assert_recovered()
        self.check()

    def fill(self, file):
        with file.open("wb", buffering=0) as out:
            try:
                while True:
                    out.write(b"x" * 65536)
            except OSError:
                pass

    @unittest.skipUnless(subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode == 0,
                         "strace cannot trace here")
    def test_a_disk_that_fails(self):
        """Some syncs of every thread fail: whether what they should have synced is on disk, nobody knows. The pause
        until it is tried again is all the time that there is to look meanwhile."""
        self.begin(["strace", "-f", "-q", "-e", "signal=none", "-e", "trace=fdatasync",
                    "-e", "inject=fdatasync:error=EIO:when=200..202", "-o", "/dev/null"])
        self.send_until_it_stops()
        self.assert_stopped("Input/output error")
        self.wait_for_recovery()
        find_all(self, self.alice, self.room, self.acknowledged)
        self.server.end_children(signal.SIGKILL)
        self.server.start()
        self.assert_recovered()
        self.check()


if __name__ == "__main__":
    unittest.main()
