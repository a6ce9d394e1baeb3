// Makes the source contract of the published schemas: build/github-webhooks.schema.json is the document
// as published, build/github-webhooks.types.json says which part of it holds for which event type.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export const schema = require('@octokit/webhooks-schemas');
export const examples = require('@octokit/webhooks-examples');

// The definitions are called event$action, or event$event where the event has no actions.
export const types = Object.fromEntries(
  Object.keys(schema.definitions)
    .filter((name) => name.includes('$'))
    .map((name) => [name, name.split('$')])
    .map(([name, [event, action]]) => [
      action === 'event' ? `com.github.${event}` : `com.github.${event}.${action}`,
      `#/definitions/${name}`,
    ]),
);

// The CloudEvents type of a payload: com.github.issues.opened, com.github.push.
export function typeOf(event, payload) {
  const withAction = `com.github.${event}.${payload.action}`;
  return withAction in types ? withAction : `com.github.${event}`;
}

export function write(folder = new URL('build/', import.meta.url)) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL('github-webhooks.schema.json', folder), JSON.stringify(schema));
  writeFileSync(new URL('github-webhooks.types.json', folder), JSON.stringify(types, null, 1));
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  write();
  console.log(`build/: one schema, ${Object.keys(types).length} event types`);
}
