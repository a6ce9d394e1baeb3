#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/invoice.h"

static const char *CONFIG = "{\"currency\": \"EUR\", \"tax\": {\"DE\": 1900}}";
static int failed;

static slice of(const char *text) { return (slice){text, strlen(text)}; }

static void check(const char *what, const char *data, outcome outcome_wanted, const char *wanted) {
    arena memory = {0};
    config config;
    result result = {0};
    if (!config_read(&config, &memory, of(CONFIG), &result.reason)) abort();
    outcome outcome = invoice_make(&config, &memory, of(data), &result);
    buffer *got = outcome == INVOICE ? &result.data : &result.reason;
    if (outcome != outcome_wanted || !slice_equals((slice){got->at, got->length}, of(wanted))) {
        fprintf(stderr, "%s:\n  outcome %d, %.*s\n  instead of %d, %s\n", what, outcome, (int)got->length, got->at, outcome_wanted, wanted);
        failed++;
    }
    free(result.number.at);
    free(result.data.at);
    free(result.reason.at);
    arena_free(&memory);
}

#define ORDER(status, country, lines) \
    "{\"order\":\"A-1\",\"status\":\"" status "\",\"customer\":{\"name\":\"Zo\\u00eb\",\"address\":{\"country\":\"" country "\"}},\"lines\":[" lines "],\"note\":\"soon\"}"

int main(void) {
    check("an order becomes an invoice, taxed half up",
          ORDER("open", "DE", "{\"sku\":\"LAN-7\",\"quantity\":3,\"price\":\"0.50\"}"), INVOICE,
          "{\"currency\":\"EUR\",\"customer\":{\"country\":\"DE\",\"name\":\"Zoë\"},\"invoice\":\"INV-A-1\","
          "\"lines\":[{\"amount\":150,\"quantity\":3,\"sku\":\"LAN-7\",\"unit_price\":50}],"
          "\"net\":150,\"note\":\"soon\",\"order\":\"A-1\",\"paid\":false,\"tax\":29,\"tax_rate\":1900,\"total\":179}");
    check("cancelled", ORDER("cancelled", "FR", ""), SKIP, "cancelled");
    check("no lines", ORDER("paid", "DE", ""), SKIP, "nothing to invoice");
    check("a list", "[]", INVALID_EVENT, "the data is no JSON object");
    check("a price with a comma", ORDER("open", "DE", "{\"sku\":\"a\",\"quantity\":1,\"price\":\"1,50\"}"), INVALID_EVENT,
          "/lines/0/price: must be an amount like 12.50");
    check("a country without a rate", ORDER("open", "FR", ""), NO_TAX_RATE, "no tax rate for FR");

    arena memory = {0};
    config config;
    buffer reason = {0};
    if (config_read(&config, &memory, of("{\"currency\":\"EUR\",\"tax\":{\"DE\":19.5}}"), &reason)) {
        fprintf(stderr, "a config with half a rate is taken\n");
        failed++;
    }
    free(reason.at);
    arena_free(&memory);
    printf(failed == 0 ? "ok\n" : "%d failed\n", failed);
    return failed != 0;
}
