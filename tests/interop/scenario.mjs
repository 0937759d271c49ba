// The conversation that has to work between any two homeservers.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, until } from "./client.mjs";

const kBeforeKill = 10;
const kWhileDown = 10;
const kPaceMs = 50;

// step(name, action) names, times and awaits one action. servers: two that are ready.
export async function converse(servers, roomVersion, step) {
  const [alice, bob] = await step("register and start clients", () => signUp(servers));
  try {
    const roomId = await meet(alice, bob, roomVersion, step);
    await step("cross-signing is visible to the other", async () => {
      await Promise.all([alice.bootstrapCrossSigning(), bob.bootstrapCrossSigning()]);
      await Promise.all([alice.seesSigned(bob), bob.seesSigned(alice)]);
    });
    await talk(alice, bob, roomId, step);
    await talk(bob, alice, roomId, step);
    await outage(alice, bob, roomId, step);
    await outage(bob, alice, roomId, step);
  } finally {
    alice.stop();
    bob.stop();
  }
}

async function signUp([first, second]) {
  const password = randomBytes(12).toString("hex");
  const clients = [
    new Client(first, await first.register("alice", password), password),
    new Client(second, await second.registerWithSecret("bob", password), password),
  ];
  for (const client of clients) await client.start();
  return clients;
}

async function meet(alice, bob, roomVersion, step) {
  const roomId = await step(`create an encrypted room of version ${roomVersion}, invite`, async () => {
    const { room_id: id } = await alice.sdk.createRoom({
      preset: "private_chat",
      room_version: roomVersion,
      invite: [bob.userId],
      initial_state: [
        { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } },
      ],
    });
    await until("bob sees the invitation", () => bob.room(id)?.getMyMembership() === "invite");
    return id;
  });
  await step("join over federation", async () => {
    await bob.sdk.joinRoom(roomId);
    await until("alice sees bob joined", () => alice.room(roomId)?.getMember(bob.userId)?.membership === "join");
    await until("bob sees himself joined", () => bob.room(roomId)?.getMyMembership() === "join");
    for (const client of [alice, bob]) {
      await until(`${client.userId} knows the room is encrypted`, () =>
        client.room(roomId).hasEncryptionStateEvent());
      const version = client.room(roomId).getVersion();
      if (version !== roomVersion) throw new Error(`${client.userId} sees room version ${version}`);
    }
  });
  return roomId;
}

// Everything that one person does in a conversation, and the other sees.
async function talk(from, to, roomId, step) {
  const who = `${from.userId} to ${to.userId}`;
  const root = await step(`${who}: message`, async () => {
    const id = await from.text(roomId, "hello");
    await to.decrypted(roomId, id, "hello");
    return id;
  });
  await step(`${who}: edit`, () => edit(from, to, roomId, root));
  await step(`${who}: reaction`, () => react(from, to, roomId, root));
  await step(`${who}: reply in a thread`, () => replyInThread(from, to, roomId, root));
  await step(`${who}: redaction`, async () => {
    const id = await from.text(roomId, "never mind");
    await to.decrypted(roomId, id, "never mind");
    await from.sdk.redactEvent(roomId, id);
    await until(`${to.userId} sees ${id} redacted`, () => to.room(roomId).findEventById(id).isRedacted());
  });
  await step(`${who}: encrypted image`, async () => {
    const image = randomBytes(200_000);
    const id = await from.sendImage(roomId, image);
    const event = await to.decrypted(roomId, id, "image.png");
    if (!image.equals(await to.downloadImage(event))) throw new Error("the image's bytes differ");
  });
  await step(`${who}: typing`, async () => {
    const typing = () => to.room(roomId).getMember(from.userId).typing;
    await from.sdk.sendTyping(roomId, true, 60_000);
    await until(`${to.userId} sees ${from.userId} typing`, typing);
    await from.sdk.sendTyping(roomId, false, 0);
    await until(`${to.userId} sees ${from.userId} stop typing`, () => !typing());
  });
  await step(`${who}: receipt`, async () => {
    const id = await to.text(roomId, "read me");
    const event = await from.decrypted(roomId, id, "read me");
    await from.sdk.sendReadReceipt(event, "m.read", true);
    await until(`${to.userId} sees that ${from.userId} read ${id}`, () =>
      to.room(roomId).getReadReceiptForUserId(from.userId, true)?.eventId === id);
  });
}

async function edit(from, to, roomId, root) {
  const id = await from.send(roomId, {
    msgtype: "m.text",
    body: "* good day",
    "m.new_content": { msgtype: "m.text", body: "good day" },
    "m.relates_to": { rel_type: "m.replace", event_id: root },
  });
  await to.decrypted(roomId, id, "* good day");
  await until(`${to.userId} shows the edited message`, () =>
    to.room(roomId).findEventById(root).getContent().body === "good day");
}

async function react(from, to, roomId, root) {
  await from.sdk.sendEvent(roomId, "m.reaction", {
    "m.relates_to": { rel_type: "m.annotation", event_id: root, key: "👍" },
  });
  await until(`${to.userId} sees the reaction`, () =>
    to.room(roomId).relations.getChildEventsForEvent(root, "m.annotation", "m.reaction")
      ?.getRelations().some((event) => event.getSender() === from.userId));
}

async function replyInThread(from, to, roomId, root) {
  const id = await from.send(roomId, {
    msgtype: "m.text",
    body: "in a thread",
    "m.relates_to": {
      rel_type: "m.thread",
      event_id: root,
      is_falling_back: true,
      "m.in_reply_to": { event_id: root },
    },
  });
  const event = await to.decrypted(roomId, id, "in a thread");
  if (event.threadRootId !== root) throw new Error(`${to.userId} sees the reply outside its thread`);
}

// Messages of one sender, one after another, until told to stop. Each is repeated until its
// server acknowledges it; `sent` has what was acknowledged.
class Flow {
  constructor(client, roomId, label) {
    Object.assign(this, { client, roomId, label, sent: [], stopping: false });
    this.done = this.run();
    // Whoever awaits `done` later hears of the failure; until then it is nobody's.
    this.done.catch(() => {});
  }

  async run() {
    for (let number = 0; !this.stopping; ++number) {
      const body = `${this.label} ${number}`;
      const txnId = `${this.label}-${number}`.replaceAll(/[^\w-]/g, "-");
      this.sent.push({ body, id: await this.client.insist(this.roomId, body, txnId) });
      await sleep(kPaceMs);
    }
  }

  reaches(count) {
    const what = `${this.client.userId} sends ${count} messages`;
    return Promise.race([until(what, () => this.sent.length >= count), this.failure()]);
  }

  async failure() {
    await this.done;
    return new Promise(() => {});
  }

  finish() {
    this.stopping = true;
    return this.done;
  }
}

// Kills the server of `down` without warning while both send, and starts it again.
async function outage(down, up, roomId, step) {
  const server = down.homeserver;
  const label = (client) => `${client.userId} around the end of ${server.serverName}:`;
  const flows = await step(`messages flow, ${server.name} is killed`, async () => {
    const both = [new Flow(down, roomId, label(down)), new Flow(up, roomId, label(up))];
    await Promise.all(both.map((flow) => flow.reaches(kBeforeKill)));
    await server.kill();
    const [, other] = both;
    await other.reaches(other.sent.length + kWhileDown);
    return both;
  });
  await step(`${server.name} is started again`, async () => {
    const counts = flows.map((flow) => flow.sent.length);
    await server.start();
    await Promise.all(flows.map((flow, i) => flow.reaches(counts[i] + kBeforeKill)));
    await Promise.all(flows.map((flow) => flow.finish()));
  });
  const all = flows.flatMap((flow) => flow.sent);
  await step(`all ${all.length} acknowledged messages are on both sides, once`, async () => {
    for (const client of [down, up]) {
      for (const { id, body } of all) await client.decrypted(roomId, id, body);
      once(client, roomId, all);
    }
  });
  await step("the conversation goes on", async () => {
    await up.decrypted(roomId, await down.text(roomId, "back again"), "back again");
    await down.decrypted(roomId, await up.text(roomId, "welcome back"), "welcome back");
  });
}

function once(client, roomId, messages) {
  const events = client.room(roomId).getLiveTimeline().getEvents();
  const counts = new Map();
  for (const event of events) {
    const { body } = event.getContent();
    counts.set(body, (counts.get(body) ?? 0) + 1);
  }
  for (const { body } of messages) {
    const count = counts.get(body) ?? 0;
    if (count > 1) throw new Error(`${client.userId} sees "${body}" ${count} times`);
  }
}
