"""Orders that Confluent's client and fastavro write, through a route that turns them into Protobuf, read by
Google's Protobuf. Argument: URL of the hub; prints what came out."""

import base64
import io
import json
import sys
import urllib.request

import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

URL = sys.argv[1]
ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "cents", "type": "long"},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}
PARCEL = 'syntax = "proto3"; message Parcel { string id = 1; int64 cents = 2; optional string note = 3; }'


def call(method, path, body=None, headers=None):
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    for name, value in (headers or {"content-type": "application/json"}).items():
        request.add_header(name, value)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


def publish(id, datacontenttype, data):
    headers = {"ce-specversion": "1.0", "ce-id": id, "ce-source": "/python", "ce-type": "order"}
    call("POST", "/v1/topics/orders/events", data, {**headers, "content-type": datacontenttype})


def parcel():
    file = descriptor_pb2.FileDescriptorProto(name="parcel.proto", syntax="proto3")
    message = file.message_type.add(name="Parcel")
    for number, (name, kind) in enumerate([("id", 9), ("cents", 3), ("note", 9)], 1):
        message.field.add(name=name, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Parcel"))


serializer = AvroSerializer(SchemaRegistryClient({"url": URL + "/registry"}), json.dumps(ORDER))
framed = serializer({"id": "ä", "cents": 2**53 + 1, "note": "framed"}, SerializationContext("orders", MessageField.VALUE))
bare = io.BytesIO()
fastavro.schemaless_writer(bare, ORDER, {"id": "b", "cents": -1, "note": None})

call("POST", "/v1/contracts/parcel/versions", {"format": "protobuf", "schema": PARCEL})
call("PUT", "/v1/topics/orders", {"contract": "orders-value@1"})
call("PUT", "/v1/topics/parcels", {"contract": "parcel@1"})
call("PUT", "/v1/routes/r", {"from": "orders", "decode": "json", "to": ["parcels"]})
publish("framed", "application/vnd.confluent.avro", framed)
publish("bare", "application/avro", bare.getvalue())

read, offset = [], 0
while len(read) < 2:
    events = call("GET", f"/v1/topics/parcels/events?partition=0&offset={offset}&wait=10")
    read, offset = read + events, offset + len(events)
message = parcel()
out = []
for event in read:
    one = message.FromString(base64.b64decode(event["data_base64"]))
    out.append([event["id"], event["datacontenttype"], one.id, one.cents, one.note])
json.dump(out, sys.stdout)
