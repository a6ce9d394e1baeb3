// Publishes with the JavaScript SDK in every mode it writes, reads back and parses with it.
//   node cloudevents.mjs URL TOPIC
// Prints {"answers": [...], "read": [...]}: what the hub answered, and the events as the SDK sees them.
import { CloudEvent, HTTP } from "cloudevents";

const [url, topic] = process.argv.slice(2);
const address = `${url}/v1/topics/${topic}/events`;

function event(id, data, more) {
  return new CloudEvent({
    id,
    source: "/clients/javascript",
    type: "client.event",
    subject: "größe 7",
    time: "2026-01-02T03:04:05.678Z",
    datacontenttype: "application/json",
    partitionkey: "key",
    count: 7,
    data,
    ...more,
  });
}

async function publish({ headers, body }) {
  const answer = await fetch(address, { method: "POST", headers, body });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  return answer.json();
}

const data = { total: 12.5, name: "Zoë" };
const answers = [
  // The SDK does not percent-encode headers, as the binding asks: only ASCII in binary mode.
  await publish(HTTP.binary(event("binary", data, { subject: "order 7" }))),
  await publish(HTTP.structured(event("structured", data))),
  // The SDK has no writer for batches: a batch is a list of its structured events.
  await publish({
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify([event("batch-1", data), event("batch-2", data)]),
  }),
  await publish(HTTP.structured(event("bytes", new Uint8Array([0, 1, 254, 255]), { datacontenttype: "application/octet-stream" }))),
];

const answer = await fetch(address);
const headers = Object.fromEntries(answer.headers);
const message = { headers, body: await answer.text() };
const read = HTTP.toEvent(message);
for (const one of read) one.validate();
const shown = read.map((one) => ({ ...JSON.parse(JSON.stringify(one)), bytes: one.data instanceof Uint8Array ? [...one.data] : undefined }));
console.log(JSON.stringify({ answers, read: shown }));
