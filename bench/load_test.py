#!/usr/bin/env python3
"""Every workload of polder_load, small, against this homeserver: does it still run, and does it find what is wrong?"""

import http.client
import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import servers  # noqa: E402

POLDER, LOAD = sys.argv.pop(1), sys.argv.pop(1)

WORKLOADS = {
    "messages": ["--users", "4", "--rooms", "2", "--seconds", "1", "--warm-up", "0", "--patience", "2"],
    "fanout": ["--listeners", "5", "--seconds", "1"],
    "initial_sync": ["--users", "2", "--rooms", "3", "--members", "4", "--times", "1", "--messages", "5",
                     "--profiles", "1T,5T,3F"],
    "joins": ["--users", "3", "--rooms", "2"],
    "idle": ["--users", "5", "--rooms", "2", "--seconds", "1", "--warm-up", "0"],
}


class Liar(http.server.BaseHTTPRequestHandler):
    """Hands requests on to the homeserver, and changes what is read back."""

    protocol_version = "HTTP/1.1"

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if self.command == "GET":
            for true, false in self.server.lies:
                content = content.replace(true, false)
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = handle_request

    def log_message(self, *_):
        pass


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.ports = servers.free_ports(3)
        machine = servers.Machine(pathlib.Path(cls.directory.name), None, {"polder": pathlib.Path(POLDER).resolve()})
        authority = servers.Authority(machine.work / "authority")
        cls.here = servers.Polder(machine, "polder", cls.ports[0], cls.ports[1], authority)
        cls.running = cls.here.run()
        cls.running.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.running.__exit__(None, None, None)
        cls.directory.cleanup()

    def load(self, workload, url=None, options=()):
        process = [] if url else [f"--server-pid={pid}" for pid in self.here.processes]
        return subprocess.run([LOAD, "--url", url or self.here.url, *process, "--data-dir", self.directory.name, workload,
                               *(options or WORKLOADS[workload])], capture_output=True, text=True, check=False)

    def test_every_workload_reports(self):
        for workload in WORKLOADS:
            with self.subTest(workload):
                done = self.load(workload)
                self.assertEqual(0, done.returncode, done.stderr)
                reports = [json.loads(line) for line in done.stdout.splitlines()]
                self.assertTrue(reports)
                for report in reports:
                    self.assertTrue(report["workload"].startswith(workload))
                    for key in ("count", "checked", "per_second", "server_memory_mib", "server_disk_mib"):
                        self.assertGreater(report[key], 0, key)

    def test_wrong_content_is_not_reported(self):
        liar = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
        liar.handle_error = lambda *_: None  # polder_load gives up, whatever is on its way
        liar.upstream = self.ports[0]
        threading.Thread(target=liar.serve_forever, daemon=True).start()
        lies = {
            "messages": [(b"mmmm", b"nnnn")],
            "fanout": [(b"message 1 ", b"message 2 ")],
            "initial_sync": [(b'"membership":"join"', b'"membership":"nope"')],
            "joins": [(b"joiner0", b"joiner9")],
            "idle": [(b"wake up", b"go on")],
        }
        for workload, told in lies.items():
            with self.subTest(workload):
                liar.lies = told
                done = self.load(workload, url=f"http://127.0.0.1:{liar.server_port}")
                self.assertEqual((1, ""), (done.returncode, done.stdout))
                self.assertIn("polder_load: ", done.stderr)
        liar.shutdown()

    def test_refused_requests_are_not_reported(self):
        done = self.load("initial_sync", options=["--profiles", "30T", "--messages", "5"])
        self.assertEqual((1, ""), (done.returncode, done.stdout))


if __name__ == "__main__":
    unittest.main()
