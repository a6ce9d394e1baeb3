// Parses an AsyncAPI document with the official parser, which validates it and follows every reference.
//   node asyncapi.mjs FILE
// Prints what a reader of the document sees; diagnostics go to standard error, and errors end with 1.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
import { AvroSchemaParser } from "@asyncapi/avro-schema-parser";
import { ProtoBuffSchemaParser } from "@asyncapi/protobuf-schema-parser";

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
parser.registerSchemaParser(ProtoBuffSchemaParser());
const { document, diagnostics } = await parser.parse(readFileSync(process.argv[2], "utf8"));
// 0 and 1 are errors and warnings; below are hints, such as that there is a newer AsyncAPI.
const bad = diagnostics.filter((one) => one.severity < 2);
for (const one of bad) console.error(`${one.code} at /${one.path.join("/")}: ${one.message}`);
if (!document || bad.length > 0) process.exit(1);

// A schema in a format of its own lies inside of the payload.
const properties = (payload) => {
  const schema = payload?.json();
  return Object.keys((schema?.schema ?? schema)?.properties ?? {});
};
const operations = document.allOperations().all().map((one) => ({
  id: one.id(),
  action: one.action(),
  channels: one.channels().all().map((channel) => channel.id()),
  messages: one.messages().all().map((message) => message.id()),
}));
const channels = document.allChannels().all().map((one) => ({
  id: one.id(),
  address: one.address(),
  messages: one.messages().all().map((message) => ({
    id: message.id(),
    name: message.name(),
    schemaFormat: message.schemaFormat(),
    properties: properties(message.payload()),
    headers: Object.keys(message.headers()?.properties() ?? {}),
  })),
}));
console.log(JSON.stringify({ version: document.version(), servers: document.servers().all().map((one) => one.host()), channels, operations }));
