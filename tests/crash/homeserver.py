"""The real binary on an empty directory, and a client that speaks to it."""

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.parse

START_SECONDS = 20  # sanitizers and busy machines are slow

CONFIG = """
server_name = "{name}"
data_dir = "{directory}/data"

[[listeners]]
bind = "127.0.0.1"
port = 0

[registration]
enabled = true

[limits]
rate_limits = false

[federation]
enabled = false
"""


class Homeserver:
    def __init__(self, binary, directory, name="localhost"):
        self.binary = str(pathlib.Path(binary).resolve())
        self.directory = pathlib.Path(directory)
        self.config = self.directory / "polder.toml"
        self.config.write_text(CONFIG.format(directory=directory, name=name))
        self.prefix = ()  # a command that runs each of its commands
        self.process = None
        self.port = None

    def start(self, wrapper=()):
        """Returns once it is ready; `wrapper` is a command that runs it, such as strace."""
        self.port = None
        self.process = subprocess.Popen(
            [*self.prefix, *wrapper, self.binary, "serve", "--config", str(self.config)],
            stderr=subprocess.PIPE, text=True, start_new_session=True)
        ready = threading.Event()
        self.lines = []
        self.reader = threading.Thread(target=self._read_log, args=(self.process, ready), daemon=True)
        self.reader.start()
        if not ready.wait(START_SECONDS):
            self.process.kill()
            raise RuntimeError("the server is not ready:\n" + "".join(self.lines))

    def _read_log(self, process, ready):
        for line in process.stderr:
            self.lines.append(line)
            listening = re.search(r" listening .*port=(\d+)", line)
            if listening:
                self.port = int(listening.group(1))
            if " ready " in line:
                ready.set()

    def logs(self, text):
        """Whether a line of the log has the text, or one will soon."""
        deadline = time.monotonic() + START_SECONDS
        while not any(text in line for line in self.lines):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def kill(self):
        """Also what a wrapper runs, which would outlive it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def end_children(self, number):
        """Ends the server, not the command that runs it."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if len(children) != 1:
            raise RuntimeError(f"the wrapper runs {children}")
        os.kill(int(children[0]), number)
        self.wait()

    def kill_if_running(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def wait(self):
        self.process.wait(timeout=20)
        self.reader.join()
        self.process.stderr.close()

    def run(self, *arguments):
        """Another command of the binary, with this configuration: (exit status, output)."""
        return self.run_plain(*arguments, "--config", str(self.config))

    def run_plain(self, *arguments):
        done = subprocess.run([*self.prefix, self.binary, *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


class Client:
    """One user on one connection; not for several threads."""

    def __init__(self, server, token=None):
        self.server = server
        self.token = token
        self.connection = None

    def call(self, method, path, body=None):
        """(status, answer); http.client's errors and OSError if the server went away."""
        status, answer = self.exchange(method, path, json.dumps(body) if body is not None else None)
        return status, json.loads(answer or "{}")

    def exchange(self, method, path, body=None):
        """The same with bytes."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=15)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            raise

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def must(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def register(self, name):
        answer = self.must("POST", "/_matrix/client/v3/register",
                           {"username": name, "password": "secret", "auth": {"type": "m.login.dummy"}})
        self.token = answer["access_token"]
        return answer["user_id"]

    def create_room(self, **body):
        return self.must("POST", "/_matrix/client/v3/createRoom", body)["room_id"]

    def join(self, room):
        self.must("POST", f"/_matrix/client/v3/join/{urllib.parse.quote(room)}", {})

    def send_path(self, room, transaction):
        return f"/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/send/m.room.message/{transaction}"

    def send(self, room, transaction, text):
        return self.must("PUT", self.send_path(room, transaction), {"msgtype": "m.text", "body": text})["event_id"]

    def event(self, room, event):
        return self.call("GET", f"/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/event/{urllib.parse.quote(event)}")

    def upload(self, content):
        """The part of its mxc:// that names it."""
        status, answer = self.exchange("POST", "/_matrix/media/v3/upload", content)
        if status != 200:
            raise RuntimeError(f"upload: {status} {answer}")
        return json.loads(answer)["content_uri"].removeprefix("mxc://")

    def download(self, media):
        """The content; http.client's errors if it is not whole."""
        status, answer = self.exchange("GET", f"/_matrix/client/v1/media/download/{media}")
        if status != 200:
            raise RuntimeError(f"download: {status} {answer}")
        return answer
