// Drives a server with the published SDK of Trigger.dev, and judges bodies with its schemas.
// usage: node contract.cjs WHAT [URL TOKEN [ARGUMENT]]: one line of JSON for each answer on stdout.
const core = require("@trigger.dev/core/v3");
const { configure, runs, webhooks } = require("@trigger.dev/sdk");

const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const slim = (run) => ({ id: run.id, status: run.status, taskIdentifier: run.taskIdentifier, tags: run.tags, metadata: run.metadata ?? null,
  createdAt: run.createdAt, startedAt: run.startedAt ?? null, finishedAt: run.finishedAt ?? null, attemptCount: run.attemptCount ?? null,
  error: run.error ?? null, isFailed: run.isFailed, isCompleted: run.isCompleted, output: run.output ?? null, payload: run.payload ?? null });

async function all(pages) {
  const found = [];
  for await (const run of pages) found.push(slim(run));
  say(found);
}

async function refused(asked) {
  try {
    await asked;
    say({ refused: false });
  } catch (error) {
    say({ refused: true, name: error.name, status: error.status ?? null, message: error.message });
  }
}

async function follow(subscription) {
  say({ following: true });
  for await (const run of subscription) say(slim(run));
  say({ ended: true });
}

function parseArray(text) { // a Postgres array literal, as the shape client reads it
  const found = [];
  for (let i = 1; i < text.length - 1; i++) {
    if (text[i] === ",") continue;
    let one = "";
    for (i++; text[i] !== '"'; i++) one += text[i] === "\\" ? text[++i] : text[i];
    found.push(one);
  }
  return found;
}

function row(value) {
  const number = Number, kinds = { number, usageDurationMs: number, costInCents: number, baseCostInCents: number,
    isTest: (v) => v === "t", error: JSON.parse, runTags: parseArray, realtimeStreams: parseArray };
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, v !== null && kinds[k] ? kinds[k](v) : v]));
}

function judge({ schema, value }) {
  const judged = core[schema].safeParse(schema === "SubscribeRunRawShape" ? row(value) : value);
  return judged.success ? "good" : JSON.stringify(judged.error.issues.slice(0, 3));
}

async function construct({ payload, header, secret }) {
  try {
    const event = await webhooks.constructEvent({ payload, header }, secret);
    return { type: event.type, id: event.id };
  } catch (error) {
    return { refused: error.message.slice(0, 24) };
  }
}

async function stdin() {
  let text = "";
  for await (const block of process.stdin) text += block;
  return JSON.parse(text);
}

const commands = {
  list: (size) => all(runs.list({ limit: Number(size) })),
  filtered: (query) => all(runs.list(JSON.parse(query))),
  project: (ref) => all(runs.list(ref, { env: ["stg"], limit: 2 })),
  retrieve: async (id) => say(slim(await runs.retrieve(id))),
  missing: (id) => refused(runs.retrieve(id, { retry: { maxAttempts: 1 } })),
  badlist: (status) => refused(runs.list({ status: [status] }, { retry: { maxAttempts: 1 } })),
  run: (id) => follow(runs.subscribeToRun(id)),
  tag: (tag) => follow(runs.subscribeToRunsWithTag(tag)),
  judge: async () => say((await stdin()).map(judge)),
  construct: async () => say(await Promise.all((await stdin()).map(construct))),
};

const [what, baseURL, accessToken, argument] = process.argv.slice(2);
if (baseURL) configure({ baseURL, accessToken });
commands[what](argument).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
