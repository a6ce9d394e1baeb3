// Verifies signatures with the JavaScript library of Standard Webhooks.
//   node webhooks.mjs < [{"secret": "whsec_…", "headers": {…}, "body": "base64"}, …]
// Prints for each: true, or why it is not verified.
import { Webhook } from "standardwebhooks";

let input = "";
for await (const chunk of process.stdin) input += chunk;
const results = JSON.parse(input).map(({ secret, headers, body }) => {
  try {
    new Webhook(secret).verify(Buffer.from(body, "base64").toString("utf8"), headers);
    return true;
  } catch (error) {
    return String(error);
  }
});
console.log(JSON.stringify(results));
