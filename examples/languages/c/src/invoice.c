#include "invoice.h"

#include <inttypes.h>
#include <stdio.h>

// No invoice is over a million millions (and a cent less), so that every sum fits 64 bits.
static const int64_t MAX_NET = INT64_C(100000000000000) - 1;

typedef struct {
    slice sku;
    const json *title;
    int64_t quantity, unit_price, amount;
} line;

// Writes why, and gives false, so that a check can end with it.
__attribute__((format(printf, 2, 3))) static bool refuse(buffer *reason, const char *format, ...) {
    va_list values;
    va_start(values, format);
    buffer_vprint(reason, format, values);
    va_end(values);
    return false;
}

// A whole number by its value: 2.0 is 2.
static bool whole(const json *value, int64_t least, int64_t most, int64_t *number) {
    if (!json_is(value, JSON_NUMBER)) return false;
    if (!(value->number >= (double)least && value->number <= (double)most)) return false;
    *number = (int64_t)value->number;
    return (double)*number == value->number;
}

static bool text(const json *parent, const char *at, const char *key, slice *text, buffer *reason) {
    const json *value = json_get(parent, key);
    if (!json_is(value, JSON_TEXT) || value->text.length == 0) {
        return refuse(reason, "%s/%s: must be a text, not empty", at, key);
    }
    *text = value->text;
    return true;
}

// NULL when there is none.
static bool optional_text(const json *parent, const char *at, const char *key, const json **text, buffer *reason) {
    *text = json_get(parent, key);
    if (*text != NULL && !json_is(*text, JSON_TEXT)) return refuse(reason, "%s/%s: must be a text", at, key);
    return true;
}

bool config_read(config *config, arena *arena, slice text, buffer *reason) {
    const json *given = json_parse(arena, text);
    const json *currency = json_get(given, "currency"), *prefix = json_get(given, "prefix");
    if (!json_is(currency, JSON_TEXT)) return refuse(reason, "/currency: must be a text");
    if (prefix != NULL && !json_is(prefix, JSON_TEXT)) return refuse(reason, "/prefix: must be a text");
    config->currency = currency->text;
    config->prefix = prefix != NULL ? prefix->text : SLICE("INV-");
    config->tax = json_get(given, "tax");
    if (!json_is(config->tax, JSON_OBJECT)) return refuse(reason, "/tax: must be an object of rates by country");
    for (const json *rate = config->tax->first; rate != NULL; rate = rate->next) {
        int64_t number;
        if (whole(rate, 0, 10000, &number)) continue;
        return refuse(reason, "/tax/%.*s: must be a whole number from 0 to 10000", (int)rate->key.length, rate->key.at);
    }
    return true;
}

// "34.9" is 3490. Never by way of a double: 34.95 * 100 is 3495.0000000000005 there.
static bool cents(const json *price, int64_t *cents) {
    if (!json_is(price, JSON_TEXT)) return false;
    const char *at = price->text.at, *end = at + price->text.length;
    int digits = 0, decimals = 0;
    *cents = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++, digits++) {
        if (digits == 10) return false;
        *cents = *cents * 10 + (*at - '0');
    }
    if (digits == 0) return false;
    if (at < end) {
        if (*at++ != '.') return false;
        for (; at < end && *at >= '0' && *at <= '9'; at++, decimals++) {
            if (decimals == 2) return false;
            *cents = *cents * 10 + (*at - '0');
        }
        if (decimals == 0 || at < end) return false;
    }
    for (; decimals < 2; decimals++) *cents *= 10;
    return true;
}

static bool read_line(const json *given, size_t index, line *line, buffer *reason) {
    char at[32];
    snprintf(at, sizeof at, "/lines/%zu", index);
    if (!text(given, at, "sku", &line->sku, reason)) return false;
    if (!optional_text(given, at, "title", &line->title, reason)) return false;
    if (!whole(json_get(given, "quantity"), 1, 1000000, &line->quantity)) {
        return refuse(reason, "%s/quantity: must be a whole number from 1 to 1000000", at);
    }
    if (!cents(json_get(given, "price"), &line->unit_price)) {
        return refuse(reason, "%s/price: must be an amount like 12.50", at);
    }
    line->amount = line->quantity * line->unit_price;
    return true;
}

// `"key":"text"` and a comma; nothing when there is no text.
static void write_optional(buffer *out, const char *key, const json *text) {
    if (text == NULL) return;
    buffer_print(out, "\"%s\":", key);
    buffer_add_json_text(out, text->text);
    buffer_add(out, SLICE(","));
}

static void write_text(buffer *out, const char *before, slice text) {
    buffer_print(out, "%s", before);
    buffer_add_json_text(out, text);
}

static void write_line(buffer *out, const line *line) {
    buffer_print(out, "{\"amount\":%" PRId64 ",\"quantity\":%" PRId64, line->amount, line->quantity);
    write_text(out, ",\"sku\":", line->sku);
    buffer_add(out, SLICE(","));
    write_optional(out, "title", line->title);
    buffer_print(out, "\"unit_price\":%" PRId64 "}", line->unit_price);
}

outcome invoice_make(const config *config, arena *arena, slice data, result *result) {
    buffer *reason = &result->reason;
    const json *order = json_parse(arena, data);
    if (!json_is(order, JSON_OBJECT)) {
        refuse(reason, "the data is no JSON object");
        return INVALID_EVENT;
    }
    slice number;
    if (!text(order, "", "order", &number, reason)) return INVALID_EVENT;
    const json *given = json_get(order, "status");
    slice status = json_is(given, JSON_TEXT) ? given->text : SLICE("");
    if (slice_equals(status, SLICE("cancelled"))) {
        refuse(reason, "cancelled");
        return SKIP;
    }
    bool paid = slice_equals(status, SLICE("paid"));
    if (!paid && !slice_equals(status, SLICE("open"))) {
        refuse(reason, "/status: must be open, paid or cancelled");
        return INVALID_EVENT;
    }

    const json *customer = json_get(order, "customer"), *address = json_get(customer, "address");
    slice name, country;
    const json *email, *city;
    if (!text(customer, "/customer", "name", &name, reason)) return INVALID_EVENT;
    if (!optional_text(customer, "/customer", "email", &email, reason)) return INVALID_EVENT;
    if (!text(address, "/customer/address", "country", &country, reason)) return INVALID_EVENT;
    if (!optional_text(address, "/customer/address", "city", &city, reason)) return INVALID_EVENT;
    int64_t rate;
    if (!whole(json_find(config->tax, country), 0, 10000, &rate)) {
        // Nothing is wrong with the event; the config does not know its country.
        refuse(reason, "no tax rate for %.*s", (int)country.length, country.at);
        return NO_TAX_RATE;
    }

    const json *lines = json_get(order, "lines"), *note;
    if (!json_is(lines, JSON_LIST)) {
        refuse(reason, "/lines: must be a list");
        return INVALID_EVENT;
    }
    if (lines->first == NULL) {
        refuse(reason, "nothing to invoice");
        return SKIP;
    }
    size_t count = 0, index = 0;
    for (const json *each = lines->first; each != NULL; each = each->next) count++;
    line *invoiced = arena_take(arena, count * sizeof *invoiced);
    int64_t net = 0;
    for (const json *each = lines->first; each != NULL; each = each->next, index++) {
        if (!read_line(each, index, &invoiced[index], reason)) return INVALID_EVENT;
        net += invoiced[index].amount;
        if (net > MAX_NET) {
            refuse(reason, "/lines: the sum is over %" PRId64 " cents", MAX_NET);
            return INVALID_EVENT;
        }
    }
    if (!optional_text(order, "", "note", &note, reason)) return INVALID_EVENT;
    int64_t tax = (net * rate + 5000) / 10000;  // half up

    buffer_add(&result->number, config->prefix);
    buffer_add(&result->number, number);
    result->country = country;
    // Canonical JSON: the keys in alphabetical order, no white space.
    buffer *out = &result->data;
    write_text(out, "{\"currency\":", config->currency);
    buffer_print(out, ",\"customer\":{");
    write_optional(out, "city", city);
    write_text(out, "\"country\":", country);
    buffer_add(out, SLICE(","));
    write_optional(out, "email", email);
    write_text(out, "\"name\":", name);
    write_text(out, "},\"invoice\":", (slice){result->number.at, result->number.length});
    buffer_print(out, ",\"lines\":[");
    for (index = 0; index < count; index++) {
        if (index > 0) buffer_add(out, SLICE(","));
        write_line(out, &invoiced[index]);
    }
    buffer_print(out, "],\"net\":%" PRId64 ",", net);
    write_optional(out, "note", note);
    write_text(out, "\"order\":", number);
    buffer_print(out, ",\"paid\":%s,\"tax\":%" PRId64 ",\"tax_rate\":%" PRId64 ",\"total\":%" PRId64 "}",
                 paid ? "true" : "false", tax, rate, net + tax);
    return INVOICE;
}
