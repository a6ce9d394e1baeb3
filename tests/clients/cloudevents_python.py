"""Publishes with the Python SDK in every mode it writes, reads back and parses with it.

    python cloudevents_python.py URL TOPIC

Prints {"answers": [...], "read": [...]}: what the hub answered, and the events as the SDK sees them.
"""

import json
import sys
import urllib.request
from datetime import datetime, timezone

from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_structured_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

url, topic = sys.argv[1:]
address = f"{url}/v1/topics/{topic}/events"


def event(name, data, content_type="application/json"):
    attributes = {
        "specversion": "1.0",
        "id": name,
        "source": "/clients/python",
        "type": "client.event",
        "subject": "größe 7",
        "time": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc),
        "datacontenttype": content_type,
        "partitionkey": "key",
        "count": 7,
    }
    return CloudEvent(attributes=attributes, data=data)


def publish(message):
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    request = urllib.request.Request(address, data=body, headers=dict(message.headers), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


data = {"total": 12.5, "name": "Zoë"}
answers = [
    publish(to_binary_event(event("binary", data))),
    publish(to_structured_event(event("structured", data))),
]
# The SDK has no writer for batches: a batch is a list of its structured events.
pair = [json.loads(to_structured_event(event(name, data)).body) for name in ("batch-1", "batch-2")]
headers = {"content-type": "application/cloudevents-batch+json"}
answers.append(publish(HTTPMessage(headers=headers, body=json.dumps(pair).encode())))
answers.append(publish(to_structured_event(event("bytes", bytes([0, 1, 254, 255]), "application/octet-stream"))))

with urllib.request.urlopen(address, timeout=60) as answer:
    assert answer.headers["content-type"] == "application/cloudevents-batch+json", answer.headers
    batch = json.load(answer)

read = []
for one in batch:
    headers = {"content-type": "application/cloudevents+json"}
    parsed = from_structured_event(HTTPMessage(headers=headers, body=json.dumps(one).encode()))
    attributes = dict(parsed.get_attributes())
    attributes["time"] = attributes["time"].isoformat()
    content = parsed.get_data()
    if isinstance(content, bytes):
        attributes["bytes"] = list(content)
    else:
        attributes["data"] = content
    read.append(attributes)

print(json.dumps({"answers": answers, "read": read}))
