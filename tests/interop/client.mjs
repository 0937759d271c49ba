// One user of the scenario: matrix-js-sdk with its Rust crypto, and waits that end in clear words.
import { webcrypto } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as sdk from "matrix-js-sdk";
import { logger as sdkLogger } from "matrix-js-sdk/lib/logger.js";

const kWaitMs = 120_000;
const kPollMs = 50;

// The SDK tells its every step; what a failure needs is in the scenario's own words. Its parts have
// loggers of their own, which do not inherit the level.
sdkLogger.setLevel("silent");
const kQuiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => kQuiet };
sdkLogger.getChild = () => kQuiet;

// Polls what a client knows until `check` gives something truthy, and returns that. `what` is a text,
// or a function that gives one when the wait has failed.
export async function until(what, check, timeoutMs = kWaitMs) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > deadline) {
      const failed = typeof what === "function" ? what() : what;
      throw new Error(`timed out after ${timeoutMs / 1000} s: ${failed}`);
    }
    await sleep(kPollMs);
  }
}

// The specification's "Sending encrypted attachments": AES-CTR with a 64-bit counter from zero.
async function encryptAttachment(plain) {
  const iv = new Uint8Array(16);
  webcrypto.getRandomValues(iv.subarray(0, 8));
  const key = await webcrypto.subtle.generateKey({ name: "AES-CTR", length: 256 }, true, ["encrypt", "decrypt"]);
  const data = await webcrypto.subtle.encrypt({ name: "AES-CTR", counter: iv, length: 64 }, key, plain);
  const { k } = await webcrypto.subtle.exportKey("jwk", key);
  const info = {
    v: "v2",
    key: { alg: "A256CTR", ext: true, k, key_ops: ["encrypt", "decrypt"], kty: "oct" },
    iv: unpadded(iv),
    hashes: { sha256: unpadded(await webcrypto.subtle.digest("SHA-256", data)) },
  };
  return { data, info };
}

async function decryptAttachment(data, info) {
  const hash = unpadded(await webcrypto.subtle.digest("SHA-256", data));
  if (hash !== info.hashes.sha256) throw new Error("the attachment differs from what was uploaded");
  const key = await webcrypto.subtle.importKey("jwk", info.key, "AES-CTR", false, ["decrypt"]);
  const counter = Buffer.from(info.iv, "base64");
  return Buffer.from(await webcrypto.subtle.decrypt({ name: "AES-CTR", counter, length: 64 }, key, data));
}

function describe(event) {
  if (!event) return "not in its timeline";
  if (!event.isEncrypted()) return `in clear, with status ${event.status}`;
  if (event.isDecryptionFailure()) return `undecryptable: ${event.decryptionFailureReason}`;
  return event.getClearContent() ? "decrypted" : "still encrypted";
}

const unpadded = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

export class Client {
  // credentials: the answer to a registration.
  constructor(homeserver, credentials, password) {
    this.homeserver = homeserver;
    this.userId = credentials.user_id;
    this.deviceId = credentials.device_id;
    this.password = password;
    this.sdk = sdk.createClient({
      baseUrl: homeserver.baseUrl,
      userId: this.userId,
      deviceId: this.deviceId,
      accessToken: credentials.access_token,
      logger: kQuiet,
    });
  }

  async start() {
    await this.sdk.initRustCrypto({ useIndexedDB: false });
    await this.sdk.startClient({ initialSyncLimit: 100, pendingEventOrdering: "detached" });
    await until(`${this.userId} syncs`, () => this.sdk.getSyncState() === "SYNCING");
  }

  stop() {
    this.sdk.stopClient();
  }

  room(roomId) {
    return this.sdk.getRoom(roomId);
  }

  // A server may take the first upload of keys without asking for the password.
  bootstrapCrossSigning() {
    const identifier = { type: "m.id.user", user: this.userId };
    return this.sdk.getCrypto().bootstrapCrossSigning({
      authUploadDeviceSigningKeys: async (request) => {
        try {
          return await request(null);
        } catch (error) {
          const session = error.data?.session;
          if (!session) throw error;
          return request({ type: "m.login.password", identifier, password: this.password, session });
        }
      },
    });
  }

  // That this client has the other's cross-signing keys and a device signed by them.
  async seesSigned(other) {
    const crypto = this.sdk.getCrypto();
    await until(`${this.userId} sees ${other.deviceId} signed by its owner ${other.userId}`, async () => {
      await crypto.getUserDeviceInfo([other.userId], true);
      if (!(await crypto.userHasCrossSigningKeys(other.userId, true))) return false;
      const status = await crypto.getDeviceVerificationStatus(other.userId, other.deviceId);
      return status?.signedByOwner;
    });
  }

  async send(roomId, content) {
    return (await this.sdk.sendEvent(roomId, "m.room.message", content)).event_id;
  }

  text(roomId, body) {
    return this.send(roomId, { msgtype: "m.text", body });
  }

  // Sends, and repeats with the same transaction id until the server acknowledges.
  async insist(roomId, body, txnId) {
    const content = { msgtype: "m.text", body };
    try {
      return (await this.sdk.sendEvent(roomId, "m.room.message", content, txnId)).event_id;
    } catch {
      return this.resend(roomId, body, txnId);
    }
  }

  async resend(roomId, body, txnId) {
    const room = this.room(roomId);
    return until(`${this.userId} sends "${body}" again`, async () => {
      const local = room.getPendingEvents().find((event) => event.getTxnId() === txnId);
      // The message arrived before its sender heard so: sync has told in the meantime.
      if (!local) return room.getLiveTimeline().getEvents().find((event) => event.getTxnId() === txnId)?.getId();
      try {
        return (await this.sdk.resendEvent(local, room)).event_id;
      } catch {
        await sleep(500);
        return false;
      }
    });
  }

  // The event as this client shows it: in its timeline, and decrypted. Where a limited sync left a
  // gap, the client pages back for it, as it does when its user scrolls up.
  async decrypted(roomId, eventId, body) {
    const find = () => this.room(roomId)?.findEventById(eventId);
    const what = () => `${this.userId} decrypts ${eventId} ("${body}"), which is ${describe(find())}`;
    const event = await until(what, async () => {
      const found = find();
      if (!found && this.room(roomId)) await this.sdk.scrollback(this.room(roomId), 100);
      const clear = found?.isEncrypted() && !found.isDecryptionFailure() && !found.isBeingDecrypted();
      return clear && found.getClearContent() && found;
    });
    const got = event.getClearContent().body;
    if (got !== body) throw new Error(`${this.userId} decrypted ${eventId} to "${got}" instead of "${body}"`);
    return event;
  }

  async sendImage(roomId, bytes) {
    const { data, info } = await encryptAttachment(bytes);
    const { content_uri: url } = await this.sdk.uploadContent(new Blob([data]), {
      type: "application/octet-stream",
      includeFilename: false,
    });
    return this.send(roomId, {
      msgtype: "m.image",
      body: "image.png",
      info: { mimetype: "image/png", size: bytes.length },
      file: { url, ...info },
    });
  }

  async downloadImage(event) {
    const { file } = event.getClearContent();
    const url = this.sdk.mxcUrlToHttp(file.url, undefined, undefined, undefined, false, true, true);
    const headers = { Authorization: `Bearer ${this.sdk.getAccessToken()}` };
    const answer = await fetch(url, { headers });
    if (!answer.ok) throw new Error(`${this.userId} downloads ${file.url}: ${answer.status}`);
    return decryptAttachment(await answer.arrayBuffer(), file);
  }
}
