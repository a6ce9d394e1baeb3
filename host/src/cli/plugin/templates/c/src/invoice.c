#include "invoice.h"

#include <inttypes.h>
#include <stdint.h>

bool config_read(config *config, arena *arena, slice text, buffer *reason) {
    config->currency = SLICE("EUR");
    const json *given = json_parse(arena, text);
    if (json_is(given, JSON_NULL)) return true;
    if (!json_is(given, JSON_OBJECT)) {
        buffer_print(reason, "must be an object");
        return false;
    }
    for (const json *member = given->first; member != NULL; member = member->next) {
        if (!slice_equals(member->key, SLICE("currency"))) {
            buffer_print(reason, "/%.*s is not known", (int)member->key.length, member->key.at);
            return false;
        }
        if (!json_is(member, JSON_TEXT)) {
            buffer_print(reason, "/currency must be a text");
            return false;
        }
        config->currency = member->text;
    }
    return true;
}

// A whole number from 0 to a million, or -1.
static int64_t whole(const json *value) {
    if (!json_is(value, JSON_NUMBER) || !(value->number >= 0 && value->number <= 1e6)) return -1;
    int64_t number = (int64_t)value->number;
    return (double)number == value->number ? number : -1;
}

static outcome make(const config *config, const json *order, buffer *out) {
    if (!json_is(order, JSON_OBJECT)) {
        buffer_print(out, "not an order: no JSON object");
        return INVALID;
    }
    const json *number = json_get(order, "number"), *customer = json_get(order, "customer");
    if (!json_is(number, JSON_TEXT)) {
        buffer_print(out, "the order has no number");
        return INVALID;
    }
    const json *lines = json_get(order, "lines");
    if (!json_is(lines, JSON_LIST) || lines->first == NULL) {
        buffer_print(out, "nothing to invoice");
        return NOTHING;
    }
    int64_t total = 0;
    int index = 0;
    for (const json *line = lines->first; line != NULL; line = line->next, index++) {
        int64_t pieces = whole(json_get(line, "pieces")), cents = whole(json_get(line, "cents"));
        if (pieces < 0 || cents < 0) {
            buffer_print(out, "/lines/%d has no pieces or no cents", index);
            return INVALID;
        }
        total += pieces * cents;
    }
    buffer_print(out, "{\"order\":");
    buffer_add_json_text(out, number->text);
    buffer_print(out, ",\"customer\":");
    buffer_add_json_text(out, json_is(customer, JSON_TEXT) ? customer->text : SLICE(""));
    buffer_print(out, ",\"currency\":");
    buffer_add_json_text(out, config->currency);
    buffer_print(out, ",\"total_cents\":%" PRId64 "}", total);
    return INVOICE;
}

outcome invoice_make(const config *config, slice data, buffer *out) {
    arena memory = {0};
    outcome made = make(config, json_parse(&memory, data), out);
    arena_free(&memory);
    return made;
}
