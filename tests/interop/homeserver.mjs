// A homeserver under test, as its own process in its own directory on its own loopback address.
// Polder and Synapse differ in their configuration and command line only.
import { execFileSync, spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const kClientPort = 8008;
const kFederationPort = 8448;
const kSharedSecret = "interop";
const kStartTimeoutMs = 120_000;

class Homeserver {
  // directory: an empty one of its own. tools: { polder, python }, paths of executables.
  constructor(kind, name, directory, address, authority, tools) {
    Object.assign(this, { kind, name, directory, address, authority, tools });
    this.serverName = `${address}:${kFederationPort}`;
    this.baseUrl = `http://${address}:${kClientPort}`;
    this.logFile = join(directory, "output.log");
    this.process = null;
    mkdirSync(directory, { recursive: true });
    this.tls = authority.issue(address, directory);
  }

  async start() {
    const [command, ...args] = this.command();
    const log = openSync(this.logFile, "a");
    const child = spawn(command, args, { cwd: this.directory, stdio: ["ignore", log, log] });
    this.process = child;
    this.exited = new Promise((resolve) => {
      child.once("exit", resolve);
      child.once("error", resolve);
    });
    this.exited.then(() => (child.gone = true));
    await this.ready(child);
  }

  async ready(child) {
    const deadline = Date.now() + kStartTimeoutMs;
    while (Date.now() < deadline) {
      if (child.gone) throw new Error(`${this.name} (${this.kind}) ended while starting`);
      try {
        const answer = await fetch(`${this.baseUrl}/_matrix/client/versions`);
        if (answer.ok) return;
      } catch {
        // Nobody listens yet.
      }
      await sleep(100);
    }
    throw new Error(`${this.name} (${this.kind}) was not ready within ${kStartTimeoutMs / 1000} s`);
  }

  async end(signal) {
    if (!this.process) return;
    this.process.kill(signal);
    await this.exited;
    this.process = null;
  }

  stop() {
    return this.end("SIGTERM");
  }

  kill() {
    return this.end("SIGKILL");
  }

  // For the exit of this process, where nothing can be awaited.
  killNow() {
    this.process?.kill("SIGKILL");
  }

  logs() {
    return existsSync(this.logFile) ? readFileSync(this.logFile, "utf8") : "";
  }

  // Client-server API, "Account registration", with the dummy stage in one request.
  register(username, password) {
    return this.post("/_matrix/client/v3/register", {
      username,
      password,
      auth: { type: "m.login.dummy" },
    });
  }

  // The shared-secret endpoint of Synapse's admin API, which Polder has too.
  async registerWithSecret(username, password) {
    const path = "/_synapse/admin/v1/register";
    const { nonce } = await this.request("GET", path);
    const mac = createHmac("sha1", kSharedSecret)
      .update([nonce, username, password, "notadmin"].join("\0"))
      .digest("hex");
    return this.post(path, { nonce, username, password, admin: false, mac });
  }

  post(path, body) {
    return this.request("POST", path, body);
  }

  async request(method, path, body) {
    const answer = await fetch(this.baseUrl + path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} at ${this.name}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }
}

class Polder extends Homeserver {
  command() {
    const file = join(this.directory, "polder.toml");
    // A JSON string is a TOML basic string.
    const text = JSON.stringify;
    writeFileSync(
      file,
      `server_name = ${text(this.serverName)}
data_dir = ${text(join(this.directory, "data"))}
log_level = "info"

[[listeners]]
bind = ${text(this.address)}
port = ${kClientPort}
resources = ["client", "media", "admin", "health"]

[[listeners]]
bind = ${text(this.address)}
port = ${kFederationPort}
resources = ["federation", "media"]
tls_certificate = ${text(this.tls.certificate)}
tls_key = ${text(this.tls.key)}

[tls]
extra_ca_files = [${text(this.authority.certificate)}]

[registration]
enabled = true
shared_secret = ${text(kSharedSecret)}

[limits]
rate_limits = false

[network]
deny_private_addresses = false

[federation]
retry_initial_ms = 200
retry_max_ms = 3000
`,
    );
    return [this.tools.polder, "serve", "--config", file];
  }
}

class Synapse extends Homeserver {
  command() {
    const file = join(this.directory, "homeserver.yaml");
    const args = ["-m", "synapse.app.homeserver", "--config-path", file];
    if (!existsSync(file)) {
      // JSON is YAML.
      writeFileSync(file, JSON.stringify(this.configuration(), null, 2));
      writeFileSync(join(this.directory, "log.yaml"), JSON.stringify(this.logging()));
      execFileSync(this.tools.python, [...args, "--generate-keys"], { stdio: "pipe" });
    }
    return [this.tools.python, ...args];
  }

  configuration() {
    const at = (name) => join(this.directory, name);
    const unlimited = { per_second: 10_000, burst_count: 10_000 };
    const listener = (port, names, extra) => ({
      port,
      bind_addresses: [this.address],
      type: "http",
      resources: [{ names }],
      ...extra,
    });
    return {
      server_name: this.serverName,
      pid_file: at("pid"),
      log_config: at("log.yaml"),
      media_store_path: at("media"),
      signing_key_path: at("signing.key"),
      macaroon_secret_key: randomBytes(16).toString("hex"),
      form_secret: randomBytes(16).toString("hex"),
      database: { name: "sqlite3", args: { database: at("homeserver.db") } },
      listeners: [
        listener(kClientPort, ["client"]),
        listener(kFederationPort, ["federation"], { tls: true }),
      ],
      tls_certificate_path: this.tls.certificate,
      tls_private_key_path: this.tls.key,
      federation_custom_ca_list: [this.authority.certificate],
      ip_range_blacklist: [],
      trusted_key_servers: [],
      report_stats: false,
      enable_registration: true,
      enable_registration_without_verification: true,
      registration_shared_secret: kSharedSecret,
      // Otherwise a peer that was down is left alone for ten minutes.
      federation: {
        destination_min_retry_interval: 200,
        destination_max_retry_interval: "3s",
        max_short_retry_delay: "1s",
      },
      rc_message: unlimited,
      rc_registration: unlimited,
      rc_joins: { local: unlimited, remote: unlimited },
      rc_invites: { per_room: unlimited, per_user: unlimited, per_issuer: unlimited },
      rc_room_creation: unlimited,
      rc_key_requests: unlimited,
      rc_federation: { window_size: 1000, sleep_limit: 100_000, reject_limit: 100_000 },
    };
  }

  logging() {
    return {
      version: 1,
      formatters: { line: { format: "%(asctime)s %(levelname)s %(name)s %(message)s" } },
      handlers: { console: { class: "logging.StreamHandler", formatter: "line" } },
      root: { level: "INFO", handlers: ["console"] },
    };
  }
}

const kKinds = { polder: Polder, synapse: Synapse };

export const kinds = Object.keys(kKinds);

export function createHomeserver(kind, ...rest) {
  return new kKinds[kind](kind, ...rest);
}
