// Starts two homeservers, lets two users converse across them, and leaves nothing running.
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Authority } from "./certificates.mjs";
import { createHomeserver, kinds } from "./homeserver.mjs";
import { converse } from "./scenario.mjs";

const kRunTimeoutMs = 15 * 60_000;
const kLogTailLines = 150;

const { values: options } = parseArgs({
  options: {
    servers: { type: "string" },
    "room-version": { type: "string" },
    polder: { type: "string" },
    python: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const chosen = options.servers.split(",");
if (chosen.length !== 2 || !chosen.every((kind) => kinds.includes(kind))) {
  console.error(`--servers takes two of: ${kinds.join(", ")}`);
  process.exit(2);
}

const started = Date.now();
const directory = mkdtempSync(join(tmpdir(), "polder-interop-"));
const servers = [];
let current = "begin";

const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1);

async function step(name, action) {
  current = name;
  const start = Date.now();
  const result = await action();
  console.log(`${seconds(started).padStart(7)} s  ${name} (${seconds(start)} s)`);
  return result;
}

// An own address for each server lets runs go side by side on the ports of their protocol.
async function freeAddress() {
  for (let tries = 0; tries < 100; ++tries) {
    const address = `127.${randomInt(64, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    if ((await isFree(address, 8008)) && (await isFree(address, 8448))) return address;
  }
  throw new Error("no free loopback address");
}

function isFree(address, port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, address, () => probe.close(() => resolve(true)));
  });
}

function fail(error) {
  console.error(`FAILED after ${seconds(started)} s in step "${current}": ${error?.stack ?? error}`);
  for (const server of servers) {
    console.error(`--- end of the log of ${server.name} (${server.kind}, ${server.logFile})`);
    console.error(server.logs().split("\n").slice(-kLogTailLines).join("\n"));
  }
  console.error(`kept for inspection: ${directory}`);
  process.exit(1);
}

process.on("exit", () => servers.forEach((server) => server.killNow()));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
setTimeout(() => fail(new Error(`the run took over ${kRunTimeoutMs / 60_000} minutes`)), kRunTimeoutMs).unref();

try {
  console.log(`servers ${chosen.join(" and ")}, room version ${options["room-version"]}`);
  await step("start servers", async () => {
    const authority = new Authority(join(directory, "ca"));
    for (const [i, kind] of chosen.entries()) {
      const name = `server-${"ab"[i]}`;
      const address = await freeAddress();
      servers.push(createHomeserver(kind, name, join(directory, name), address, authority, options));
    }
    await Promise.all(servers.map((server) => server.start()));
  });
  await converse(servers, options["room-version"], step);
  await step("stop servers", () => Promise.all(servers.map((server) => server.stop())));
  console.log(`passed in ${seconds(started)} s`);
  if (options.keep) console.log(`kept: ${directory}`);
  else rmSync(directory, { recursive: true });
  process.exit(0);
} catch (error) {
  fail(error);
}
