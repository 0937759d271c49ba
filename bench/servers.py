"""Homeservers to measure: each in a directory of its own, anybody may register, no rates are limited."""

import base64
import contextlib
import json
import os
import pathlib
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

START_SECONDS = 120
STOP_SECONDS = 30


def free_ports(count):
    with contextlib.ExitStack() as open_sockets:
        found = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


class Authority:
    """A certificate authority for one run, and one certificate for all servers, which are 127.0.0.1."""

    def __init__(self, directory):
        directory.mkdir(parents=True)
        self.ca, ca_key = directory / "ca.crt", directory / "ca.key"
        self.certificate, self.key = directory / "tls.crt", directory / "tls.key"
        extensions = directory / "tls.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.openssl("req", "-x509", *new_key, "-days", "2", "-subj", "/CN=bench authority",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", ca_key, "-out", self.ca)
        self.openssl("req", "-new", *new_key, "-subj", "/CN=127.0.0.1", "-keyout", self.key,
                     "-out", directory / "tls.csr")
        self.openssl("x509", "-req", "-days", "2", "-in", directory / "tls.csr", "-extfile", extensions,
                     "-CA", self.ca, "-CAkey", ca_key, "-set_serial", str(time.time_ns()), "-out", self.certificate)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Machine:
    """Where servers run: a directory, the core that they are pinned to (or None), the paths of programs."""

    def __init__(self, work, core, programs):
        self.work, self.core, self.programs = work, core, programs

    @contextlib.contextmanager
    def process(self, name, command, stop=signal.SIGTERM, **options):
        pin = None if self.core is None else lambda: os.sched_setaffinity(0, {self.core})
        with open(self.work / f"{name}.log", "w", encoding="utf-8") as log:
            child = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, preexec_fn=pin, **options)
        try:
            yield child
        finally:
            child.send_signal(stop)
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def wait_for(self, name, child, ready):
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{name} did not start; see {self.work / name}.log")
            time.sleep(0.1)


class Postgres:
    """A durable cluster of its own, reached by a socket in its directory."""

    def __init__(self, machine, name):
        self.machine, self.name, self.directory = machine, name, machine.work / name
        self.programs = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))

    @staticmethod
    def user():
        """What subprocess needs to run PostgreSQL, which refuses to be root."""
        if os.getuid() != 0:
            return {}
        user = pwd.getpwnam("postgres")
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": os.getgrouplist("postgres", user.pw_gid)}

    def psql(self, statement):
        return subprocess.run([self.programs / "psql", "--host", self.directory, "--username", "bench", "--dbname", "postgres",
                               "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement],
                              capture_output=True, text=True, check=False)

    @contextlib.contextmanager
    def run(self):
        """Gives the process, with an empty database of the cluster's name."""
        self.directory.mkdir()
        who = self.user()
        if who:
            os.chown(self.directory, who["user"], who["group"])
        data = self.directory / "data"
        subprocess.run([self.programs / "initdb", "--auth", "trust", "--username", "bench", "--encoding", "UTF8",
                        "--locale", "C", "--pgdata", data], check=True, stdout=subprocess.DEVNULL, cwd=self.directory, **who)
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.directory), "fsync": "on",
                    "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB"}
        command = [self.programs / "postgres", "-D", data]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        with self.machine.process(self.name, command, stop=signal.SIGINT, cwd=self.directory, **who) as child:
            self.machine.wait_for(self.name, child, lambda: self.psql("SELECT 1").returncode == 0)
            if self.psql("CREATE DATABASE homeserver TEMPLATE template0").returncode != 0:
                sys.exit("cannot create the database")
            for name in ("fsync", "synchronous_commit"):
                if self.psql(f"SHOW {name}").stdout.strip() != "on":
                    sys.exit(f"PostgreSQL runs without {name}")
            yield child


class Homeserver:
    """Reached by clients at its url; other servers reach it over TLS at its port for them."""

    def __init__(self, machine, name, client_port, server_port, authority):
        self.machine, self.name, self.authority = machine, name, authority
        self.client_port, self.server_port = client_port, server_port
        self.directory = machine.work / name
        self.url = f"http://127.0.0.1:{client_port}"
        self.server_name = f"127.0.0.1:{server_port}"
        self.processes, self.data = [], [self.directory]

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.url}/_matrix/client/versions", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    @contextlib.contextmanager
    def run(self):
        self.directory.mkdir()
        with self.machine.process(self.name, self.command(), cwd=self.directory) as child:
            self.machine.wait_for(self.name, child, self.answers)
            self.processes = [*self.processes, child.pid]
            yield self


class OnPostgres(Homeserver):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.postgres = Postgres(self.machine, f"{self.name}-postgres")
        self.data = [self.directory, self.postgres.directory]

    @contextlib.contextmanager
    def run(self):
        with self.postgres.run() as database:
            self.processes = [database.pid]
            with super().run():
                yield self


class Polder(Homeserver):
    def command(self):
        file, text = self.directory / "polder.toml", json.dumps
        shards = "" if self.machine.core is None else "[runtime]\nshards = 1\n"
        file.write_text(f"""server_name = {text(self.server_name)}
data_dir = {text(str(self.directory / "data"))}
log_level = "warning"

[[listeners]]
bind = "127.0.0.1"
port = {self.client_port}
resources = ["client", "health"]

[[listeners]]
bind = "127.0.0.1"
port = {self.server_port}
resources = ["federation"]
tls_certificate = {text(str(self.authority.certificate))}
tls_key = {text(str(self.authority.key))}

{shards}
[tls]
extra_ca_files = [{text(str(self.authority.ca))}]

[registration]
enabled = true

[limits]
rate_limits = false

[network]
deny_private_addresses = false
""")
        return [self.machine.programs["polder"], "serve", "--config", file]


class Synapse(OnPostgres):
    def configuration(self):
        unlimited = {"per_second": 1_000_000, "burst_count": 1_000_000}

        def at(name):
            return str(self.directory / name)

        def listener(port, names, **extra):
            return {"port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "resources": [{"names": names}], **extra}

        return {
            "server_name": self.server_name,
            "pid_file": at("pid"),
            "log_config": at("log.yaml"),
            "media_store_path": at("media"),
            "signing_key_path": at("signing.key"),
            "macaroon_secret_key": secrets.token_hex(),
            "form_secret": secrets.token_hex(),
            "database": {"name": "psycopg2", "args": {"user": "bench", "dbname": "homeserver", "cp_min": 5, "cp_max": 10,
                                                      "host": str(self.postgres.directory)}},
            "listeners": [listener(self.client_port, ["client"]), listener(self.server_port, ["federation"], tls=True)],
            "tls_certificate_path": str(self.authority.certificate),
            "tls_private_key_path": str(self.authority.key),
            "federation_custom_ca_list": [str(self.authority.ca)],
            "ip_range_blacklist": [],
            "trusted_key_servers": [],
            "report_stats": False,
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "bcrypt_rounds": 4,  # registering is not what is measured
            "presence": {"enabled": False},
            "rc_message": unlimited,
            "rc_registration": unlimited,
            "rc_joins": {"local": unlimited, "remote": unlimited},
            "rc_joins_per_room": unlimited,
            "rc_room_creation": unlimited,
        }

    def command(self):
        # JSON is YAML.
        file = self.directory / "homeserver.yaml"
        file.write_text(json.dumps(self.configuration()))
        (self.directory / "log.yaml").write_text(json.dumps({
            "version": 1, "handlers": {"console": {"class": "logging.StreamHandler"}},
            "root": {"level": "WARNING", "handlers": ["console"]}}))
        command = [self.machine.programs["python"], "-m", "synapse.app.homeserver", "--config-path", file]
        subprocess.run([*command, "--generate-keys"], check=True, capture_output=True)
        return command


class Dendrite(OnPostgres):
    # https://element-hq.github.io/dendrite/installation/manual/configuration
    def command(self):
        key = self.directory / "matrix_key.pem"
        key.write_text("-----BEGIN MATRIX PRIVATE KEY-----\nKey-ID: ed25519:bench\n\n"
                       f"{base64.b64encode(secrets.token_bytes(32)).decode()}\n-----END MATRIX PRIVATE KEY-----\n")
        file = self.directory / "dendrite.yaml"
        database = f"postgresql://bench@/homeserver?host={self.postgres.directory}&sslmode=disable"
        file.write_text(json.dumps({
            "version": 2,
            "global": {
                "server_name": self.server_name,
                "private_key": str(key),
                "database": {"connection_string": database, "max_open_conns": 20, "max_idle_conns": 5, "conn_max_lifetime": -1},
                "jetstream": {"storage_path": str(self.directory / "jetstream")},
                "trusted_third_party_id_servers": [],
                "presence": {"enable_inbound": False, "enable_outbound": False},
                "report_stats": {"enabled": False},
            },
            "client_api": {"registration_disabled": False, "rate_limiting": {"enabled": False}},
            "federation_api": {"key_perspectives": [], "deny_networks": [], "allow_networks": ["127.0.0.1/32"]},
            "media_api": {"base_path": str(self.directory / "media")},
            "user_api": {"bcrypt_cost": 4},
            "logging": [{"type": "std", "level": "warn"}],
        }))
        return ["env", f"SSL_CERT_FILE={self.authority.ca}", self.machine.programs["dendrite"], "--config", file,
                "--really-enable-open-registration",
                "--http-bind-address", f"127.0.0.1:{self.client_port}",
                "--https-bind-address", f"127.0.0.1:{self.server_port}",
                "--tls-cert", self.authority.certificate, "--tls-key", self.authority.key]


class Tuwunel(Homeserver):
    """Does not sync its write log before it answers, and has no setting for that."""

    # https://matrix-construct.github.io/tuwunel/configuration.html
    def command(self):
        file, text = self.directory / "tuwunel.toml", json.dumps
        file.write_text(f"""[global]
server_name = {text(self.server_name)}
database_path = {text(str(self.directory / "data"))}
address = ["127.0.0.1"]
port = [{self.client_port}, {self.server_port}]
log = "warn"
allow_registration = true
yes_i_am_very_very_sure_i_want_an_open_registration_server_prone_to_abuse = true
grant_admin_to_first_user = false
create_admin_room = false
new_user_displayname_suffix = ""
allow_local_presence = false
allow_incoming_presence = false
allow_outgoing_presence = false
trusted_servers = []
query_trusted_key_servers_first_on_join = false
ip_range_denylist = []

[global.tls]
certs = {text(str(self.authority.certificate))}
key = {text(str(self.authority.key))}
dual_protocol = true
""")
        return ["env", f"SSL_CERT_FILE={self.authority.ca}", self.machine.programs["tuwunel"], "--config", file]


PEERS = {"dendrite": Dendrite, "tuwunel": Tuwunel}
