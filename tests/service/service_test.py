#!/usr/bin/env python3
"""The real binary under a service manager: readiness, SIGHUP, metrics.  service_test.py BINARY"""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))
from homeserver import Client, Homeserver  # noqa: E402

METRICS_LISTENER = """
[[listeners]]
bind = "127.0.0.1"
port = 0
resources = ["metrics"]
"""

TLS_LISTENER = """
[[listeners]]
bind = "127.0.0.1"
port = 0
resources = ["client"]
tls_certificate = "{0}/tls.crt"
tls_key = "{0}/tls.key"
"""

OPERATIONS = pathlib.Path(__file__).resolve().parents[2] / "docs/operations.md"


class Service(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(folder.name + "/notify")
        self.manager.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = folder.name + "/notify"
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
        self.server = Homeserver(sys.argv[1], folder.name)
        self.addCleanup(self.end)

    def end(self):
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()

    def change(self, old, new):
        text = self.server.config.read_text()
        self.assertIn(old, text)
        self.server.config.write_text(text.replace(old, new))

    def told(self):
        return self.manager.recv(4096).decode()

    def reload(self):
        self.server.process.send_signal(signal.SIGHUP)
        self.assertRegex(self.told(), r"^RELOADING=1\nMONOTONIC_USEC=\d+\n$")
        self.assertEqual(self.told(), "READY=1\n")

    def register(self, name, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.server.port, timeout=20)
        self.addCleanup(connection.close)
        body = '{"username":"%s","password":"pw","auth":{"type":"m.login.dummy"}}' % name
        connection.request("POST", "/_matrix/client/v3/register", body)
        return connection.getresponse().status

    def test_the_manager_is_told_of_readiness_and_of_the_end(self):
        self.server.start()
        self.assertEqual(self.told(), "READY=1\n")
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.told(), "STOPPING=1\n")
        self.assertEqual(self.server.process.wait(20), 0)

    def test_a_port_that_another_program_has_is_not_shared(self):
        self.server.start()
        self.told()
        with tempfile.TemporaryDirectory() as folder:
            second = Homeserver(sys.argv[1], folder)
            second.config.write_text(second.config.read_text().replace("port = 0", f"port = {self.server.port}"))
            code, output = second.run("serve")
            self.assertNotEqual(code, 0)
            self.assertIn("Address already in use", output)

    def test_commands_make_no_data_of_a_wrong_path(self):
        for command in (["check"], ["audit"], ["user", "deactivate", "alice"], ["room", "purge", "!r:localhost"]):
            code, output = self.server.run(*command)
            self.assertEqual(code, 1, command)
            self.assertIn("there is no server's data", output)
            self.assertFalse((self.server.directory / "data").exists(), command)
        self.server.start()
        self.server.kill()
        code, output = self.server.run("check")
        self.assertEqual(code, 0, output)
        self.assertIn(f"{self.server.directory}/data: 0 rooms, 0 events: 0 faults", output)

    def test_a_certificate_that_cannot_be_used_is_a_fault_of_the_configuration(self):
        self.make_certificate()
        self.change("[registration]", TLS_LISTENER.format(self.server.directory) + "\n[registration]")
        self.assertEqual(self.server.run("config", "check")[0], 0)
        (self.server.directory / "tls.crt").write_text("no certificate")
        code, output = self.server.run("config", "check")
        self.assertEqual(code, 2)
        self.assertIn("listeners[1].tls_certificate", output)
        code, output = self.server.run("serve")
        self.assertEqual(code, 2, output)
        self.assertIn(f"listeners[1].tls_certificate, tls_key: {self.server.directory}/tls.crt: ", output)
        self.assertIn("name PEM files that the server's user may read", output)

    def test_exit_codes_are_those_that_are_documented(self):
        polder = [sys.argv[1]]
        listed = set(re.findall(r"^\| (\d+) \| ", OPERATIONS.read_text(), re.M))
        self.assertEqual(listed, {"0", "1", "2"})
        for arguments, code in (([], 2), (["nonsense"], 2), (["serve"], 2), (["backup", "--keep", "x"], 2),
                                (["serve", "--config", "/nowhere/polder.toml"], 2), (["--help"], 0), (["--version"], 0)):
            self.assertEqual(subprocess.run(polder + arguments, capture_output=True).returncode, code, arguments)

    def test_the_version_is_told(self):
        told = subprocess.run([sys.argv[1], "--version"], capture_output=True, text=True).stdout
        self.assertRegex(told, r"^polder \d+\.\d+\.\d+, schema \d+\n$")

    def test_a_backup_names_the_directory_that_is_missing(self):
        code, output = self.server.run("backup", "--to", str(self.server.directory / "backups"))
        self.assertEqual(code, 1)
        self.assertIn(f"there is no directory {self.server.directory}/data, which data_dir", output)

    def test_a_name_with_forbidden_characters_is_told_which_are_allowed(self):
        code, output = self.server.run("user", "create", "Alice!")
        self.assertEqual(code, 1)
        self.assertIn("a-z 0-9 . _ = - / +", output)

    def test_it_ends_cleanly_with_requests_that_wait(self):
        self.server.start()
        alice = Client(self.server)
        alice.register("alice")
        alice.call("POST", "/_matrix/client/v3/createRoom", {})
        _, synced = alice.call("GET", "/_matrix/client/v3/sync")
        polls = []
        for _ in range(200):
            polls.append(socket.create_connection(("127.0.0.1", self.server.port), timeout=20))
            self.addCleanup(polls[-1].close)
            polls[-1].sendall(("GET /_matrix/client/v3/sync?timeout=60000&since=%s HTTP/1.1\r\nHost: localhost\r\n"
                               "Authorization: Bearer %s\r\n\r\n" % (synced["next_batch"], alice.token)).encode())
        for poll in polls[::2]:
            poll.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            poll.close()  # with a reset
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.process.wait(20), 0, "".join(self.server.lines))

    def test_sighup_takes_what_may_change_and_names_what_may_not(self):
        self.server.start()
        self.told()
        self.assertEqual(self.register("early"), 200)
        self.change("[registration]\nenabled = true", "[registration]\nenabled = false")
        self.change("rate_limits = false", "rate_limits = true")
        self.reload()
        self.assertTrue(self.server.logs("reloaded changed=registration.enabled"))
        self.assertTrue(self.server.logs("needs_restart keys=limits.rate_limits"))
        self.assertEqual(self.register("late"), 403)

    def test_registrations_of_application_services_are_checked_and_read_again(self):
        folder = self.server.directory / "appservices"
        folder.mkdir()
        self.server.config.write_text(self.server.config.read_text() + f'\n[appservices]\ndirectory = "{folder}"\n')
        check = [sys.argv[1], "config", "check", "--config", str(self.server.config)]
        registration = folder / "irc.yaml"
        registration.write_text("id: irc\nurl: null\nas_token: a b\nhs_token: h\nsender_localpart: bot\nnamespaces:\n"
                                "  users: [{exclusive: true, regex: '@_irc_.*'}]\n")
        registration.chmod(0o644)
        checked = subprocess.run(check, capture_output=True, text=True)
        self.assertEqual(checked.returncode, 2)
        self.assertIn(f"{registration}: line 3: as_token must have neither spaces", checked.stderr)
        self.assertIn(f"{registration} holds the tokens of an application service, and everybody may read it",
                      checked.stderr)
        registration.write_text(registration.read_text().replace("a b", "a"))
        registration.chmod(0o600)
        checked = subprocess.run(check, capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        hidden = registration.rename(folder / "irc.off")
        self.server.start()
        self.told()
        self.assertEqual(self.register("_irc_early"), 200)
        hidden.rename(registration)
        self.reload()
        self.assertEqual(self.register("_irc_late"), 400)

    def test_a_bad_file_changes_nothing(self):
        self.server.start()
        self.told()
        self.change("[registration]", "[registratoin]")
        self.reload()
        self.assertTrue(self.server.logs("job_failed job=reload"))
        self.assertEqual(self.register("still"), 200)

    def test_a_bad_file_keeps_the_certificates_too(self):
        self.make_certificate()
        self.change("[registration]", TLS_LISTENER.format(self.server.directory) + "\n[registration]")
        self.server.start()
        self.told()
        port = [int(port) for line in self.server.lines for port in re.findall(r" listening .*port=(\d+)", line)][1]
        shown = [ssl.get_server_certificate(("127.0.0.1", port))]
        self.make_certificate()
        self.change("[registration]", "[registratoin]")
        self.reload()
        self.assertTrue(self.server.logs("job_failed job=reload"))
        shown.append(ssl.get_server_certificate(("127.0.0.1", port)))
        self.change("[registratoin]", "[registration]")
        self.reload()
        shown.append(ssl.get_server_certificate(("127.0.0.1", port)))
        self.assertEqual(shown[0], shown[1])
        self.assertNotEqual(shown[1], shown[2])

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", self.server.directory / "tls.key",
                        "-out", self.server.directory / "tls.crt"], check=True, capture_output=True)

    def test_the_address_for_other_servers_is_told_once_it_is_configured(self):
        def told():
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
            self.addCleanup(connection.close)
            connection.request("GET", "/.well-known/matrix/server", headers={"Origin": "https://app"})
            answer = connection.getresponse()
            return answer.status, answer.headers["Access-Control-Allow-Origin"], json.loads(answer.read())

        self.server.start()
        self.told()
        status, _, body = told()
        self.assertEqual((status, body["errcode"]), (404, "M_NOT_FOUND"))
        self.change("[federation]", '[federation]\npublic_address = "matrix.example.org:443"')
        self.reload()
        self.assertEqual(told(), (200, "*", {"m.server": "matrix.example.org:443"}))
        self.change("matrix.example.org:443", "https://matrix.example.org")
        code, output = self.server.run("config", "check")
        self.assertEqual(code, 2)
        self.assertIn("federation.public_address: ", output)

    def test_metrics_have_a_listener_of_their_own(self):
        self.change("[registration]", METRICS_LISTENER + "\n[registration]")
        self.change("[federation]\nenabled = false", "[federation]\nenabled = true")  # has metrics of its own
        self.server.start()
        ports = [int(port) for line in self.server.lines for port in re.findall(r" listening .*port=(\d+)", line)]
        self.register("somebody", ports[0])  # what is told by route is told once it was asked for
        pages = []
        for port in ports:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            self.addCleanup(connection.close)
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            pages.append((answer.status, answer.read().decode()))
        self.assertEqual([status for status, _ in pages], [404, 200])
        for name in ("process_resident_memory_bytes", "polder_commit_groups_total", "polder_store_table_bytes", "polder_connections ",
                     'polder_rate_limited_total{class="login"} 0',
                     'polder_follower_lag_positions{follower="federation"} 0'):
            self.assertIn("\n" + name, pages[1][1])
        told = set(re.findall(r"^# TYPE (\w+)", pages[1][1], re.M))
        listed = set(re.findall(r"^\| `((?:polder|process)_\w+)` \|", OPERATIONS.read_text(), re.M))
        self.assertEqual(told, listed)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
