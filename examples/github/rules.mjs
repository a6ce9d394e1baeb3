// What must come out, stated a second time and without the plugins: the demo compares.
import { createRequire } from 'node:module';
import { schema, types } from './setup.mjs';

const require = createRequire(import.meta.url);
const Ajv = require('ajv').default;
const addFormats = require('ajv-formats').default;

const ajv = new Ajv({ strict: false, allErrors: false, validateFormats: true });
addFormats(ajv);
ajv.addSchema(schema, 'github');

// Whether the published schema takes a payload (a second validator, to check the hub's).
export function fits(type, payload) {
  if (!(type in types)) return false;
  return ajv.validate({ $ref: `github${types[type]}` }, payload);
}

// { emit: n } | { drop: reason } | { reject: true }
export function tracker(type, payload) {
  const event = type.split('.')[2];
  if (event !== 'issues' && event !== 'pull_request') return { drop: `not a work item: ${event}` };
  const item = payload.issue ?? payload.pull_request;
  if (payload.action === 'transferred' || !item?.state) return { reject: true };
  return { emit: 1 };
}

const told = new Set([
  'issues.opened', 'issues.closed', 'issues.reopened',
  'pull_request.opened', 'pull_request.closed', 'pull_request.reopened',
  'issue_comment.created', 'pull_request_review.submitted', 'release.published', 'star.created', 'fork',
]);

export function chat(type, payload) {
  const name = type.slice('com.github.'.length);
  if (name === 'push') {
    return payload.commits.length ? { emit: payload.commits.length } : { drop: 'a push without commits' };
  }
  if (name === 'check_run.completed') {
    return payload.check_run.conclusion === 'success' ? { drop: 'a check that succeeded' } : { emit: 1 };
  }
  if (name === 'workflow_run.completed') {
    return payload.workflow_run.conclusion === 'success' ? { drop: 'a workflow that succeeded' } : { emit: 1 };
  }
  return told.has(name) ? { emit: 1 } : { drop: `not for the chat: ${name.split('.')[0]}` };
}
