// The main job, over HTTP, as a user would do it: node demo.mjs [http://127.0.0.1:7400]
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { chat, fits, tracker } from './rules.mjs';
import { examples, schema, typeOf, types } from './setup.mjs';

const hub = process.argv[2] ?? 'http://127.0.0.1:7400';
const tty = process.stdout.isTTY;
const paint = (code) => (text) => (tty ? `\x1b[${code}m${text}\x1b[0m` : String(text));
const [bold, dim, green, red] = [paint('1'), paint('2'), paint('32'), paint('31')];
const here = (path) => readFileSync(new URL(path, import.meta.url));
const say = (text) => console.log(text);
const step = (text) => say(`${dim('·')} ${text}`);
const mismatches = [];

function must(what, found, wanted) {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    mismatches.push(`${what}: found ${JSON.stringify(found)}, must be ${JSON.stringify(wanted)}`);
  }
}

async function call(method, path, body, headers = { 'content-type': 'application/json' }) {
  const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const answer = await fetch(hub + path, {
    method,
    headers: body === undefined ? {} : headers,
    body: plain ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text ? JSON.parse(text) : null };
}

// As `call`, for what must succeed.
async function ask(method, path, body, headers) {
  const answer = await call(method, path, body, headers);
  if (answer.status >= 300) {
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  return answer;
}

async function define() {
  step(`contracts: ${Object.keys(types).length} event types of GitHub, a work item, a message`);
  await ask('POST', '/v1/contracts/github-webhooks/versions', { schema, types });
  await ask('POST', '/v1/contracts/work-item/versions', { schema: JSON.parse(here('contracts/work-item.schema.json')) });
  await ask('POST', '/v1/contracts/message/versions', { schema: JSON.parse(here('contracts/message.schema.json')) });
  step('topics: github.webhooks, tracker.work-items, chat.messages');
  await ask('PUT', '/v1/topics/github.webhooks', { partitions: 2, contract: 'github-webhooks' });
  await ask('PUT', '/v1/topics/tracker.work-items', { contract: 'work-item' });
  await ask('PUT', '/v1/topics/chat.messages', { contract: 'message' });
  for (const [name, target] of [['github-to-tracker', 'tracker.work-items'], ['github-to-chat', 'chat.messages']]) {
    const started = performance.now();
    const bytes = here(`../../target/guests/${name}.wasm`);
    await ask('PUT', `/v1/plugins/${name}/versions/1.0.0`, bytes, { 'content-type': 'application/wasm' });
    await ask('PUT', `/v1/routes/${name}`, {
      from: 'github.webhooks', steps: [{ plugin: `${name}@1.0.0` }], to: [target],
    });
    step(`plugin ${name}@1.0.0 (${Math.round(bytes.length / 1024)} KiB) uploaded and on its route, ${(performance.now() - started).toFixed(0)} ms`);
  }
}

function events() {
  const all = [];
  for (const { name, examples: payloads } of examples) {
    payloads.forEach((data, index) => {
      const subject = data.repository?.full_name;
      all.push({
        specversion: '1.0', id: `${name}-${index}`, source: 'https://github.com/webhooks', type: typeOf(name, data),
        ...(subject ? { subject } : {}), datacontenttype: 'application/json', data,
      });
    });
  }
  return all;
}

const publishPath = '/v1/topics/github.webhooks/events';

const binary = ({ data, datacontenttype, ...attributes }) => call(
  'POST', publishPath, JSON.stringify(data),
  { 'content-type': datacontenttype, ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value])) },
);
const structured = (event) => call('POST', publishPath, event, { 'content-type': 'application/cloudevents+json' });
const batch = (list) => call('POST', publishPath, list, { 'content-type': 'application/cloudevents-batch+json', prefer: 'handling=lenient' });

// A third in binary mode, a third structured, the rest in batches of ten.
async function publish(all, tally) {
  const third = Math.floor(all.length / 3);
  const count = (answer) => {
    if (answer.status === 200) {
      tally.accepted += answer.body.accepted.filter((one) => !one.duplicate).length;
      tally.refused += answer.body.rejected?.length ?? 0;
      answer.body.rejected?.forEach((one) => tally.reasons.push(`${one.id}: ${one.reason}`));
    } else if (answer.body?.type === '/problems/contract-violation') {
      tally.refused += 1;
      tally.reasons.push(answer.body.detail);
    } else {
      throw new Error(`publish: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
  };
  for (let at = 0; at < third * 2; at += 1) {
    const started = performance.now();
    const answer = await (at < third ? binary(all[at]) : structured(all[at]));
    tally.latencies.push(performance.now() - started);
    count(answer);
  }
  for (let at = third * 2; at < all.length; at += 10) count(await batch(all.slice(at, at + 10)));
}

// Spoiled on purpose: each with the answer that it must get.
async function spoil(all, tally) {
  const issue = all.find((event) => event.type === 'com.github.issues.opened');
  const spoiled = (id, change) => {
    const event = structuredClone(issue);
    event.id = id;
    change(event);
    return event;
  };
  const { data: _, datacontenttype: __, ...head } = issue;
  const cases = [
    ['wrong type', '/problems/contract-violation', () => structured(spoiled('spoiled-1', (event) => { event.data.issue.number = 'seven'; }))],
    ['missing field', '/problems/contract-violation', () => structured(spoiled('spoiled-2', (event) => { delete event.data.issue; }))],
    ['not JSON', '/problems/contract-violation', () => call('POST', publishPath, '{"action": "opened', {
      'content-type': 'application/json', ...Object.fromEntries(Object.entries({ ...head, id: 'spoiled-3' }).map(([name, value]) => [`ce-${name}`, value])),
    })],
    ['no source', '/problems/invalid-event', () => structured(spoiled('spoiled-4', (event) => { delete event.source; }))],
    ['broken body', '/problems/malformed-body', () => call('POST', publishPath, '{"specversion": "1.0', { 'content-type': 'application/cloudevents+json' })],
    ['duplicate', 'duplicate', () => structured(issue)],
    ['id with other data', '/problems/id-conflict', () => structured({ ...structuredClone(issue), data: { ...issue.data, sender: { ...issue.data.sender, id: 1 } } })],
  ];
  for (const [what, wanted, send] of cases) {
    const { status, body } = await send();
    const found = status === 200 && body.accepted[0].duplicate ? 'duplicate' : body.type ?? `${status}`;
    must(`spoiled: ${what}`, found, wanted);
    tally.spoiled.push([what, status, found === 'duplicate' ? `stored before, at ${body.accepted[0].partition}/${body.accepted[0].offset}` : firstPlace(body)]);
  }
}

function firstPlace(problem) {
  const place = problem.errors?.[0];
  const words = place ? `${place.pointer}: ${place.reason}` : problem.detail;
  return words.length > 96 ? `${words.slice(0, 95)}…` : words;
}

// Until the routes have read all there is. Each look waits on the hub's own word, never on a clock alone.
async function settled(routes) {
  for (;;) {
    const statuses = await Promise.all(routes.map(async (route) => (await ask('GET', `/v1/routes/${route}`)).body.status));
    const stalled = statuses.find((status) => status.state !== 'running');
    if (stalled) throw new Error(`a route is ${stalled.state}: ${stalled.detail ?? ''}`);
    if (statuses.every((status) => status.partitions.every((lane) => lane.lag === 0))) return statuses;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function readAll(topic, partitions = 1) {
  const read = [];
  for (let partition = 0; partition < partitions; partition += 1) {
    let offset = 0;
    for (;;) {
      const { body, headers } = await ask('GET', `/v1/topics/${topic}/events?partition=${partition}&offset=${offset}&limit=1000`);
      if (body.length === 0) break;
      read.push(...body);
      offset = Number(headers.get('sandbar-next-offset'));
    }
  }
  return read;
}

const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);
const sorted = (counts) => Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];

// What the rules of rules.mjs say of the events that the contract takes.
function expected(all, rule) {
  const counts = { emitted: 0, dropped: {}, rejected: 0 };
  for (const event of all) {
    const { emit, drop, reject } = rule(event.type, event.data);
    if (drop) counts.dropped[drop] = (counts.dropped[drop] ?? 0) + 1;
    else if (reject) counts.rejected += 1;
    else counts.emitted += emit;
  }
  return counts;
}

function row(label, value, wanted, note = '') {
  const good = JSON.stringify(value) === JSON.stringify(wanted);
  must(label, value, wanted);
  say(`  ${label.padEnd(44)} ${bold(String(value).padStart(6))}  ${good ? green('✓') : red(`✗ must be ${wanted}`)}  ${dim(note)}`);
}

// The same flow at speed: batches of all payloads, several at a time, on topics of their own.
async function measure(all) {
  await ask('PUT', '/v1/topics/demo.load', { partitions: 2, contract: 'github-webhooks' });
  await ask('PUT', '/v1/topics/demo.load-items', { contract: 'work-item' });
  await ask('PUT', '/v1/routes/demo-load', { from: 'demo.load', steps: [{ plugin: 'github-to-tracker@1.0.0' }], to: ['demo.load-items'] });
  const rounds = 20;
  const bodies = Array.from({ length: rounds }, (_, round) => JSON.stringify(all.map((event) => ({ ...event, id: `${round}-${event.id}` }))));
  const bytes = bodies.reduce((total, body) => total + body.length, 0);
  const started = performance.now();
  const queue = [...bodies];
  await Promise.all([1, 2, 3, 4].map(async () => {
    for (let body = queue.pop(); body; body = queue.pop()) {
      await ask('POST', '/v1/topics/demo.load/events', body, { 'content-type': 'application/cloudevents-batch+json' });
    }
  }));
  await settled(['demo-load']);
  const seconds = (performance.now() - started) / 1000;
  // One event at a time, from the publish to the moment that its output is read.
  const issue = all.find((event) => event.type === 'com.github.issues.opened');
  const whole = [];
  const { body } = await ask('GET', '/v1/topics/demo.load-items');
  let tail = body.state.partitions[0].tail;
  for (let index = 0; index < 100; index += 1) {
    const begun = performance.now();
    const reading = ask('GET', `/v1/topics/demo.load-items/events?offset=${tail}&wait=10`);
    await ask('POST', '/v1/topics/demo.load/events', { ...issue, id: `whole-${index}` }, { 'content-type': 'application/cloudevents+json' });
    tail += (await reading).body.length;
    whole.push(performance.now() - begun);
  }
  return { rate: (all.length * rounds) / seconds, megabytes: bytes / seconds / 1e6, whole };
}

async function main() {
  const all = events();
  say(bold(`\nSandbar: ${all.length} real GitHub webhook payloads into a tracker and a chat\n`));
  await define();
  const tally = { accepted: 0, refused: 0, latencies: [], reasons: [], spoiled: [] };
  step(`publishing ${all.length} events: binary, structured, batches`);
  await publish(all, tally);
  step('publishing some that are spoiled on purpose');
  await spoil(all, tally);
  const [trackerStatus, chatStatus] = await settled(['github-to-tracker', 'github-to-chat']);
  step('reading the results back');
  const items = await readAll('tracker.work-items');
  const messages = await readAll('chat.messages');
  const dead = (await ask('GET', '/v1/dead-letters?limit=1000')).body.dead_letters;

  const good = all.filter((event) => fits(event.type, event.data));
  const wantTracker = expected(good, tracker);
  const wantChat = expected(good, chat);
  say(`\n${bold('What happened')}${dim('   ✓ compared with a second validator and a second statement of the rules')}`);
  row('published and stored', tally.accepted, good.length, 'github.webhooks');
  row('refused by contract', tally.refused, all.length - good.length, tally.reasons[0] ? `e.g. ${tally.reasons[0].slice(0, 70)}…` : '');
  row('read by github-to-tracker', trackerStatus.counts.read, good.length);
  row('  emitted', items.length, wantTracker.emitted, 'tracker.work-items');
  row('  dropped', sum(trackerStatus.counts.dropped), sum(wantTracker.dropped), `${Object.keys(wantTracker.dropped).length} reasons`);
  row('  rejected into dead letters', trackerStatus.counts.rejected, wantTracker.rejected, dead[0]?.reason.split('\n')[0] ?? '');
  row('read by github-to-chat', chatStatus.counts.read, good.length);
  row('  emitted', messages.length, wantChat.emitted, 'chat.messages');
  row('  dropped', sum(chatStatus.counts.dropped), sum(wantChat.dropped), `${Object.keys(wantChat.dropped).length} reasons`);
  row('dead letters in all', dead.length, wantTracker.rejected + wantChat.rejected, 'each with the original event');
  row('duplicates, stored once', tally.spoiled.filter(([what, status]) => what === 'duplicate' && status === 200).length, 1);
  row('ids with other data, refused', tally.spoiled.filter(([, status]) => status === 409).length, 1);
  must('reasons of the tracker', sorted(trackerStatus.counts.dropped), sorted(wantTracker.dropped));
  must('reasons of the chat', sorted(chatStatus.counts.dropped), sorted(wantChat.dropped));
  must('emitted, as counted by the route', trackerStatus.counts.emitted['tracker.work-items'], items.length);

  say(`\n${bold('Dropped, by reason')}`);
  for (const [name, status] of [['tracker', trackerStatus], ['chat', chatStatus]]) {
    const top = Object.entries(status.counts.dropped).sort(([, a], [, b]) => b - a);
    const words = top.slice(0, 5).map(([reason, count]) => `${reason} (${count})`).join(', ');
    say(`  ${name.padEnd(8)} ${words}${top.length > 5 ? dim(`, and ${top.length - 5} more`) : ''}`);
  }
  say(`\n${bold('Spoiled on purpose')}`);
  for (const [what, status, words] of tally.spoiled) say(`  ${what.padEnd(20)} ${status}  ${dim(words)}`);

  const item = items.find((event) => event.type === 'tracker.work-item.opened');
  const before = all.find((event) => event.id === item.id);
  say(`\n${bold('One event, before and after')}`);
  say(`  ${before.type}, ${JSON.stringify(before.data).length} bytes: ${dim(`${JSON.stringify(before.data).slice(0, 150)}…`)}`);
  say(`  ${item.type}: ${JSON.stringify(item.data)}`);
  say(dim(`  from ${item.sandbarorigin} by route ${item.sandbarroute}; its way: ${hub}/v1/events/${item.sandbarorigin}/lineage`));

  step('measuring');
  const speed = await measure(good);
  say(`\n${bold('Speed')}${dim('   client and hub on this machine; every publish waits for the disk')}`);
  say(`  ${speed.rate.toFixed(0)} events/s (${speed.megabytes.toFixed(0)} MB/s) published, checked, mapped and stored, batches of ${good.length}`);
  say(`  one publish             p50 ${quantile(tally.latencies, 0.5).toFixed(2)} ms, p99 ${quantile(tally.latencies, 0.99).toFixed(2)} ms`);
  say(`  publish to output read  p50 ${quantile(speed.whole, 0.5).toFixed(2)} ms, p99 ${quantile(speed.whole, 0.99).toFixed(2)} ms`);

  if (mismatches.length) {
    say(red(bold('\nNot as it must be:')));
    mismatches.forEach((mismatch) => say(red(`  ${mismatch}`)));
    process.exitCode = 1;
  } else {
    say(green(bold('\nAll counts are as they must be.')));
  }
}

main().catch((error) => {
  console.error(red(`the demo failed: ${error.message}`));
  process.exitCode = 1;
});
