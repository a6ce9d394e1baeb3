"""Verifies signatures with the Python library of Standard Webhooks.

    python webhooks_python.py < [{"secret": "whsec_…", "headers": {…}, "body": "base64"}, …]

Prints for each: true, or why it is not verified.
"""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook


def verify(one):
    try:
        Webhook(one["secret"]).verify(base64.b64decode(one["body"]).decode(), one["headers"])
        return True
    except Exception as error:  # noqa: BLE001: what went wrong is the answer
        return repr(error)


print(json.dumps([verify(one) for one in json.load(sys.stdin)]))
