"""fastavro as the other side. Reads a JSON array of jobs and prints one of answers.

{"do": "generate", "schema", "count"}: data that it makes up, in its own bytes.
{"do": "read", "schema", "bytes": [hex]}: reads each and writes it again; null where it cannot write what
it read, which are unions of arrays and maps with named types within.
{"do": "resolve", "writer", "reader", "bytes": [hex], "ours": [hex]}: reads each as the reader has it,
and what another made of it by the reader's schema: what the two are."""

import io
import json
import random
import sys

import fastavro
import fastavro.utils


def read(data, writer, reader=None):
    stream = io.BytesIO(bytes.fromhex(data))
    # Tuples name the branch of a union, so that what is written again is of the same.
    datum = fastavro.schemaless_reader(stream, writer, reader, return_named_type=True, return_record_name=True)
    if stream.read(1):
        raise ValueError("left over")
    return datum


def write(datum, schema):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, datum)
    return out.getvalue().hex()


def rewritten(data, schema):
    datum = read(data, schema)
    try:
        return write(datum, schema)
    except ValueError:
        return None


def shown(datum):
    """The same for the same value, whatever the order in which a record came to its fields."""
    if isinstance(datum, dict):
        return sorted([name, shown(value)] for name, value in datum.items())
    if isinstance(datum, (list, tuple)):
        return [shown(one) for one in datum]
    return repr(datum)


random.seed(7)
answers = []
for job in json.load(sys.stdin):
    if job["do"] == "generate":
        schema = fastavro.parse_schema(job["schema"])
        try:
            data = list(fastavro.utils.generate_many(schema, job["count"]))
        except RecursionError:
            # It does not end data of types that refer to themselves.
            data = []
        answers.append([write(datum, schema) for datum in data])
    elif job["do"] == "read":
        schema = fastavro.parse_schema(job["schema"])
        answers.append([rewritten(one, schema) for one in job["bytes"]])
    else:
        writer = fastavro.parse_schema(job["writer"])
        reader = fastavro.parse_schema(job["reader"])
        pairs = zip(job["bytes"], job["ours"], strict=True)
        answers.append([[shown(read(one, writer, reader)), shown(read(ours, reader))] for one, ours in pairs])
json.dump(answers, sys.stdout)
