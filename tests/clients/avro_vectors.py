"""The Avro project's own tests, as data: the package `avro` carries them, and they are run here with
parsing and comparing listened to. Prints one JSON document."""

import contextlib
import io
import json
import sys
import unittest
import warnings

import avro.compatibility
import avro.io
import avro.schema
import avro.test.test_compatibility as test_compatibility
import avro.test.test_io as test_io
import avro.test.test_schema as test_schema

warnings.simplefilter("ignore")
parsed, compared = {}, []

parse = avro.schema.parse
compare = avro.compatibility.ReaderWriterCompatibilityChecker.get_compatibility


def listening_parse(text, *arguments, **keywords):
    schema = parse(text, *arguments, **keywords)
    # Some are parsed with checks switched off.
    if not arguments and not keywords:
        parsed[text] = schema
    return schema


def listening_compare(self, reader, writer, *place):
    result = compare(self, reader, writer, *place)
    if not place:
        compared.append(
            {
                "reader": str(reader),
                "writer": str(writer),
                "compatible": result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible,
                "rules": sorted(one.name.upper() for one in result.incompatibilities),
                "paths": sorted(result.locations),
            }
        )
    return result


def run(module):
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    with contextlib.redirect_stderr(io.StringIO()):
        result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    if not result.wasSuccessful():
        sys.exit(f"{module.__name__}: {result}")


def written(schema, datum):
    out = io.BytesIO()
    avro.io.DatumWriter(schema).write(datum, avro.io.BinaryEncoder(out))
    return out.getvalue().hex()


avro.schema.parse = listening_parse
avro.compatibility.ReaderWriterCompatibilityChecker.get_compatibility = listening_compare
run(test_schema)
run(test_compatibility)
avro.schema.parse = parse

defaults = []
for field, default in test_io.DEFAULT_VALUE_EXAMPLES:
    if "\xff" in str(default):
        # The package reads the default of bytes as UTF-8, against the specification.
        continue
    reader = {"type": "record", "name": "Test", "fields": [{"name": "H", "type": field, "default": default}]}
    datum = avro.io.DatumReader(test_io.LONG_RECORD_SCHEMA, parse(json.dumps(reader))).read(
        avro.io.BinaryDecoder(io.BytesIO(bytes.fromhex(written(test_io.LONG_RECORD_SCHEMA, test_io.LONG_RECORD_DATUM))))
    )
    defaults.append({"reader": json.dumps(reader), "bytes": written(parse(json.dumps(reader)), datum)})

json.dump(
    {
        "valid": [str(one) for one in test_schema.VALID_EXAMPLES],
        "invalid": [str(one) for one in test_schema.INVALID_EXAMPLES],
        "canonical": [
            {"schema": text, "canonical": schema.canonical_form, "fingerprint": schema.fingerprint().hex()}
            for text, schema in parsed.items()
        ],
        "fingerprints": [{"schema": text, "fingerprint": prints[0]} for text, prints in test_schema.FINGERPRINT_EXAMPLES],
        "compared": [json.loads(one) for one in sorted({json.dumps(one) for one in compared})],
        "integers": [{"number": number, "bytes": text.replace(" ", "")} for number, text in ((n, b.decode()) for n, b in test_io.BINARY_ENCODINGS)],
        "data": [{"schema": schema, "bytes": written(parse(schema), datum)} for schema, datum in test_io.SCHEMAS_TO_VALIDATE],
        "record": {"schema": str(test_io.LONG_RECORD_SCHEMA), "bytes": written(test_io.LONG_RECORD_SCHEMA, test_io.LONG_RECORD_DATUM)},
        "defaults": defaults,
    },
    sys.stdout,
)
