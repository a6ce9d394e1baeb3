// The vectors of vectors.json, which is the argument.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/invoice.h"

static int failed;

static slice read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    buffer text = {0};
    char block[4096];
    size_t count;
    while ((count = fread(block, 1, sizeof block, file)) > 0) buffer_add(&text, (slice){block, count});
    fclose(file);
    return (slice){text.at, text.length};
}

// A value as JSON again, for the order of a vector.
static void write_json(buffer *out, const json *value) {
    const char *between = "";
    switch (value->kind) {
        case JSON_NULL: buffer_print(out, "null"); break;
        case JSON_FALSE: buffer_print(out, "false"); break;
        case JSON_TRUE: buffer_print(out, "true"); break;
        case JSON_NUMBER: buffer_print(out, "%.17g", value->number); break;
        case JSON_TEXT: buffer_add_json_text(out, value->text); break;
        case JSON_LIST:
        case JSON_OBJECT:
            buffer_print(out, value->kind == JSON_LIST ? "[" : "{");
            for (const json *each = value->first; each != NULL; each = each->next, between = ",") {
                buffer_print(out, "%s", between);
                if (value->kind == JSON_OBJECT) {
                    buffer_add_json_text(out, each->key);
                    buffer_print(out, ":");
                }
                write_json(out, each);
            }
            buffer_print(out, value->kind == JSON_LIST ? "]" : "}");
    }
}

static void check(slice name, slice order, outcome wanted_outcome, slice wanted) {
    config config = {SLICE("EUR")};
    buffer got = {0};
    outcome outcome = invoice_make(&config, order, &got);
    if (outcome != wanted_outcome || !slice_equals((slice){got.at, got.length}, wanted)) {
        fprintf(stderr, "%.*s:\n  outcome %d, %.*s\n  instead of %d, %.*s\n", (int)name.length, name.at, outcome,
                (int)got.length, got.at, wanted_outcome, (int)wanted.length, wanted.at);
        failed++;
    }
    free(got.at);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    arena memory = {0};
    const json *vectors = json_parse(&memory, read_file(arguments[1]));
    if (!json_is(vectors, JSON_LIST) || vectors->first == NULL) {
        fprintf(stderr, "%s is no list of vectors\n", arguments[1]);
        return 1;
    }
    for (const json *vector = vectors->first; vector != NULL; vector = vector->next) {
        const json *invoice = json_get(vector, "invoice"), *drop = json_get(vector, "drop");
        buffer order = {0}, wanted = {0};
        write_json(&order, json_get(vector, "order"));
        if (invoice != NULL) {
            write_json(&wanted, invoice);
        } else {
            buffer_add(&wanted, (drop != NULL ? drop : json_get(vector, "reject"))->text);
        }
        check(json_get(vector, "name")->text, (slice){order.at, order.length},
              invoice != NULL ? INVOICE : drop != NULL ? NOTHING : INVALID, (slice){wanted.at, wanted.length});
        free(order.at);
        free(wanted.at);
    }
    check(SLICE("nonsense"), SLICE("nonsense"), INVALID, SLICE("not an order: no JSON object"));
    check(SLICE("no cents"), SLICE("{\"number\":\"1\",\"lines\":[{\"pieces\":1}]}"), INVALID,
          SLICE("/lines/0 has no pieces or no cents"));

    config config;
    buffer reason = {0};
    if (config_read(&config, &memory, SLICE("{\"x\":1}"), &reason)) {
        fprintf(stderr, "a config with a member that nobody knows is taken\n");
        failed++;
    }
    free(reason.at);
    arena_free(&memory);
    printf(failed == 0 ? "ok\n" : "%d failed\n", failed);
    return failed != 0;
}
