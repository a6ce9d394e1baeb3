// What Confluent's client for JavaScript does with the hub's registry: URL of the hub; prints what came of it.

import { create, createRegistry } from "@bufbuild/protobuf";
import { createFileRegistry } from "@bufbuild/protobuf";
import {
    FieldDescriptorProto_Label as Label,
    FieldDescriptorProto_Type as Type,
    FileDescriptorProtoSchema,
    FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import * as registry from "@confluentinc/schemaregistry";

const {
    AvroDeserializer, AvroSerializer, JsonDeserializer, JsonSerializer, ProtobufDeserializer,
    ProtobufSerializer, SchemaRegistryClient, SerdeType,
} = registry;

const client = () => new SchemaRegistryClient({ baseURLs: [`${process.argv[2]}/registry`] });
const refused = async (call) => {
    try {
        await call();
    } catch (error) {
        return { status: error.status, code: error.errorCode, message: String(error.message) };
    }
    return null;
};

async function avro() {
    const one = { type: "record", name: "Order", namespace: "com.acme", fields: [{ name: "id", type: "string" }] };
    const two = structuredClone(one);
    two.fields.push({ name: "note", type: ["null", "string"], default: null });
    const bad = structuredClone(one);
    bad.fields[0].type = "long";
    const sr = client();
    await sr.register("orders-value", { schemaType: "AVRO", schema: JSON.stringify(one) });
    const old = await new AvroSerializer(client(), SerdeType.VALUE, { useLatestVersion: true })
        .serialize("orders", { id: "ä" });
    await sr.updateCompatibility("orders-value", "FULL");
    const id = await sr.register("orders-value", { schemaType: "AVRO", schema: JSON.stringify(two) });
    const reader = new AvroDeserializer(client(), SerdeType.VALUE, { useLatestVersion: true });
    const money = { type: "record", name: "Money", namespace: "com.acme", fields: [{ name: "cents", type: "long" }] };
    await sr.register("money", { schemaType: "AVRO", schema: JSON.stringify(money) });
    await sr.register("invoices-value", {
        schemaType: "AVRO",
        schema: JSON.stringify({ type: "record", name: "Invoice", fields: [{ name: "total", type: "com.acme.Money" }] }),
        references: [{ name: "com.acme.Money", subject: "money", version: 1 }],
    });
    const framed = await new AvroSerializer(client(), SerdeType.VALUE, { useLatestVersion: true })
        .serialize("invoices", { total: { cents: 5 } });
    const wrong = { schemaType: "AVRO", schema: JSON.stringify(bad) };
    return {
        frame: [...old.subarray(0, 5)],
        id,
        evolved: await reader.deserialize("orders", old),
        referring: await new AvroDeserializer(client(), SerdeType.VALUE, {}).deserialize("invoices", framed),
        compatible: await sr.testCompatibility("orders-value", 1, { schemaType: "AVRO", schema: JSON.stringify(two) }),
        incompatible: await sr.testSubjectCompatibility("orders-value", wrong),
        refused: await refused(() => client().register("orders-value", wrong)),
    };
}

async function json() {
    const item = { type: "object", required: ["sku"], properties: { sku: { type: "string" } } };
    const basket = {
        type: "object",
        properties: { items: { type: "array", items: { $ref: "item.json" } } },
    };
    const sr = client();
    await sr.register("item", { schemaType: "JSON", schema: JSON.stringify(item) });
    await sr.register("baskets-value", {
        schemaType: "JSON",
        schema: JSON.stringify(basket),
        references: [{ name: "item.json", subject: "item", version: 1 }],
    });
    const writer = new JsonSerializer(client(), SerdeType.VALUE, { useLatestVersion: true, validate: true });
    const framed = await writer.serialize("baskets", { items: [{ sku: "a" }] });
    let wrong = false;
    await writer.serialize("baskets", { items: [{ sku: 1 }] }).catch(() => { wrong = true; });
    const read = await new JsonDeserializer(client(), SerdeType.VALUE, { validate: true }).deserialize("baskets", framed);
    return { read, wrong };
}

async function protobuf() {
    const field = (name, number, type, typeName) => ({ name, number, label: Label.OPTIONAL, type, typeName });
    const set = create(FileDescriptorSetSchema, {
        file: [
            create(FileDescriptorProtoSchema, {
                name: "acme/money.proto", package: "acme", syntax: "proto3",
                messageType: [{ name: "Money", field: [field("cents", 1, Type.INT64)] }],
            }),
            create(FileDescriptorProtoSchema, {
                name: "acme/invoice.proto", package: "acme", syntax: "proto3", dependency: ["acme/money.proto"],
                messageType: [
                    { name: "Other", field: [field("n", 1, Type.INT32)] },
                    { name: "Invoice", field: [field("total", 1, Type.MESSAGE, ".acme.Money"), field("note", 2, Type.STRING)] },
                ],
            }),
        ],
    });
    const files = createFileRegistry(set);
    const Invoice = files.getMessage("acme.Invoice");
    const Money = files.getMessage("acme.Money");
    const sent = create(Invoice, { total: create(Money, { cents: 7n }), note: "ä" });
    const writer = new ProtobufSerializer(client(), SerdeType.VALUE, { registry: createRegistry(...files), autoRegisterSchemas: true });
    const framed = await writer.serialize("bills", sent);
    const read = await new ProtobufDeserializer(client(), SerdeType.VALUE, {}).deserialize("bills", framed);
    const latest = await client().getLatestSchemaMetadata("bills-value");
    return {
        frame: [...framed.subarray(0, 5)],
        cents: String(read.total.cents),
        note: read.note,
        references: latest.references,
        text: latest.schema,
    };
}

async function rest() {
    const sr = client();
    const schema = { schemaType: "AVRO", schema: '"string"' };
    const id = await sr.register("s", schema);
    const found = await client().getSchemaMetadata("s", 1);
    const by = await client().getId("s", schema);
    const versions = await client().getAllVersions("s");
    const level = await sr.updateDefaultCompatibility("BACKWARD");
    const soft = await sr.deleteSubject("s");
    const hard = await sr.deleteSubject("s", true);
    return {
        ids: [id, found.id, by],
        versions,
        level: [level, await client().getDefaultCompatibility()],
        subjects: await client().getAllSubjects(),
        soft,
        hard,
        unknown: await refused(() => client().getLatestSchemaMetadata("s")),
    };
}

console.log(JSON.stringify({ avro: await avro(), json: await json(), protobuf: await protobuf(), rest: await rest() }));
