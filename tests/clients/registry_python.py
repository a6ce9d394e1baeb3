"""What Confluent's client for Python does with the hub's registry: URL of the hub; prints what came of it."""

import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2  # noqa: F401

URL = sys.argv[1] + "/registry"


def client():
    """A client that remembers nothing of what others asked."""
    return SchemaRegistryClient({"url": URL})


def context(topic):
    return SerializationContext(topic, MessageField.VALUE)


def refused(call):
    try:
        call()
    except SchemaRegistryError as error:
        return {"status": error.http_status_code, "code": error.error_code, "message": error.error_message}
    return None


def avro():
    one = {"type": "record", "name": "Order", "namespace": "com.acme", "fields": [{"name": "id", "type": "string"}]}
    two = json.loads(json.dumps(one))
    two["fields"].append({"name": "note", "type": ["null", "string"], "default": None})
    bad = json.loads(json.dumps(one))
    bad["fields"][0]["type"] = "long"
    writer = AvroSerializer(client(), json.dumps(one))
    old = writer({"id": "ä"}, context("orders"))
    sr = client()
    sr.set_compatibility("orders-value", "BACKWARD_TRANSITIVE")
    new = AvroSerializer(sr, json.dumps(two))({"id": "x", "note": "y"}, context("orders"))
    reader = AvroDeserializer(client(), json.dumps(two))
    plain = AvroDeserializer(client())
    # Types of another subject.
    money = {"type": "record", "name": "Money", "namespace": "com.acme", "fields": [{"name": "cents", "type": "long"}]}
    sr.register_schema("money", Schema(json.dumps(money), "AVRO"))
    invoice = Schema(
        json.dumps({"type": "record", "name": "Invoice", "fields": [{"name": "total", "type": "com.acme.Money"}]}),
        "AVRO",
        [SchemaReference("com.acme.Money", "money", 1)],
    )
    framed = AvroSerializer(client(), invoice)({"total": {"cents": 5}}, context("invoices"))
    return {
        "frame": list(old[:5]),
        "evolved": [reader(old, context("orders")), reader(new, context("orders"))],
        "as_written": [plain(old, context("orders")), plain(new, context("orders"))],
        "referring": AvroDeserializer(client())(framed, context("invoices")),
        "compatible": sr.test_compatibility("orders-value", Schema(json.dumps(two), "AVRO")),
        "incompatible": sr.test_compatibility("orders-value", Schema(json.dumps(bad), "AVRO")),
        "all": sr.test_compatibility_all_versions("orders-value", Schema(json.dumps(bad), "AVRO")),
        "refused": refused(lambda: sr.register_schema("orders-value", Schema(json.dumps(bad), "AVRO"))),
        "in_use": refused(lambda: sr.delete_version("money", 1)),
    }


def json_schema():
    item = json.dumps({"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}})
    basket = json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Basket",
            "type": "object",
            "properties": {"items": {"type": "array", "items": {"$ref": "item.json"}}},
        }
    )
    sr = client()
    sr.register_schema("item", Schema(item, "JSON"))
    schema = Schema(basket, "JSON", [SchemaReference("item.json", "item", 1)])
    framed = JSONSerializer(schema, client())({"items": [{"sku": "a"}]}, context("baskets"))
    wrong = False
    try:
        JSONSerializer(schema, client())({"items": [{"sku": 1}]}, context("baskets"))
    except Exception:  # noqa: BLE001
        wrong = True
    read = JSONDeserializer(None, schema_registry_client=client())
    latest = client().get_latest_version("baskets-value")
    return {
        "read": read(framed, context("baskets")),
        "wrong": wrong,
        "text": latest.schema.schema_str == basket,
        "references": [[one.name, one.subject, one.version] for one in latest.schema.references],
    }


def file(name, package, messages, imports=()):
    return descriptor_pb2.FileDescriptorProto(
        name=name, package=package, syntax="proto3", message_type=messages, dependency=imports
    )


def message(name, *fields):
    kinds = descriptor_pb2.FieldDescriptorProto
    described = descriptor_pb2.DescriptorProto(name=name)
    for number, (field, kind) in enumerate(fields, 1):
        one = described.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
        if kind.startswith("."):
            one.type, one.type_name = kinds.TYPE_MESSAGE, kind
        else:
            one.type = getattr(kinds, "TYPE_" + kind)
    return described


def protobuf():
    money = file("acme/money.proto", "acme", [message("Money", ("cents", "INT64"))])
    inner = message("Invoice", ("total", ".acme.Money"), ("due", ".google.protobuf.Timestamp"))
    inner.nested_type.add().CopyFrom(message("Line", ("text", "STRING")))
    texts = [message("Other", ("n", "INT32")), inner]
    imports = ["acme/money.proto", "google/protobuf/timestamp.proto"]
    pool = descriptor_pool.Default()
    pool.Add(money)
    pool.Add(file("acme/invoice.proto", "acme", texts, imports))
    invoice = message_factory.GetMessageClass(pool.FindMessageTypeByName("acme.Invoice"))
    line = message_factory.GetMessageClass(pool.FindMessageTypeByName("acme.Invoice.Line"))
    sent = invoice()
    sent.total.cents = 7
    sent.due.seconds = 5
    framed = ProtobufSerializer(invoice, client(), {"use.deprecated.format": False})(sent, context("bills"))
    nested = ProtobufSerializer(line, client(), {"use.deprecated.format": False})(line(text="t"), context("lines"))
    read = ProtobufDeserializer(invoice, {"use.deprecated.format": False}, client())(framed, context("bills"))
    part = ProtobufDeserializer(line, {"use.deprecated.format": False}, client())(nested, context("lines"))
    sr = client()
    latest = sr.get_latest_version("bills-value")
    return {
        "frame": list(framed[:5]),
        "read": [read.total.cents, read.due.seconds, part.text],
        "same": read == sent,
        "references": [[one.name, one.subject, one.version] for one in latest.schema.references],
        "text": latest.schema.schema_str,
        "subjects": sr.get_subjects(subject_prefix="acme/"),
    }


def the_rest():
    sr = client()
    schema = Schema('"string"', "AVRO")
    first = sr.register_schema("s", schema)
    again = client().register_schema("other", schema, normalize_schemas=True)
    found = client().lookup_schema("s", schema)
    sr.set_compatibility("s", "FULL")
    level = client().get_compatibility("s")
    versions = client().get_versions("s")
    soft = sr.delete_version("s", 1)
    gone = refused(lambda: client().get_version("s", 1))
    by_id = client().get_schema(first).schema_str
    sr.delete_subject("other")
    hard = sr.delete_subject("other", permanent=True)
    return {
        "same_id": first == again,
        "found": [found.schema_id, found.version, found.subject],
        "level": level,
        "global": client().get_compatibility(),
        "versions": versions,
        "soft": soft,
        "gone": gone,
        "by_id": by_id,
        "hard": hard,
        "unknown": refused(lambda: client().get_latest_version("none")),
        "invalid": refused(lambda: client().register_schema("s", Schema("{", "AVRO"))),
        "types": client().get_schema_types(),
        "mode": client().get_global_mode(),
        "contexts": client().get_contexts(),
    }


print(json.dumps({"avro": avro(), "json": json_schema(), "protobuf": protobuf(), "rest": the_rest()}))
