// The plugin: what the hub calls. invoice.c does the work.

#include <stdlib.h>

#include "../bindings/transformer.h"
#include "invoice.h"

// Once per instance, for its whole life.
static config settings;
static arena settings_memory;

static transformer_string_t string_of(buffer buffer) {
    return (transformer_string_t){(uint8_t *)buffer.at, buffer.length};
}

bool exports_transformer_configure(transformer_string_t *text, transformer_problem_t *problem) {
    // `text` belongs to this function, and the settings point into it: it is never freed.
    buffer reason = {0};
    if (config_read(&settings, &settings_memory, (slice){(const char *)text->ptr, text->len}, &reason)) return true;
    problem->tag = SANDBAR_TRANSFORM_TYPES_PROBLEM_INVALID_CONFIG;
    problem->val.invalid_config = string_of(reason);
    return false;
}

static transformer_option_string_t some(transformer_string_t text) {
    return (transformer_option_string_t){.is_some = true, .val = text};
}

static transformer_string_t copy(slice text) {
    transformer_string_t copied;
    transformer_string_dup_n(&copied, text.at, text.length);
    return copied;
}

static transformer_verdict_t emit(result made) {
    transformer_tuple2_string_string_t *extension = malloc(sizeof *extension);
    sandbar_transform_records_output_t *output = malloc(sizeof *output);
    if (extension == NULL || output == NULL) abort();
    *extension = (transformer_tuple2_string_string_t){copy(SLICE("country")), copy(made.country)};
    // What is not set is inherited from the order's event.
    *output = (sandbar_transform_records_output_t){
        .type = some(copy(SLICE("billing.invoice.issued"))),
        .subject = some(string_of(made.number)),
        .datacontenttype = some(copy(SLICE("application/json"))),
        .extensions = {extension, 1},
        .data = {.is_some = true, .val = {(uint8_t *)made.data.at, made.data.length}},
    };
    return (transformer_verdict_t){.tag = SANDBAR_TRANSFORM_RECORDS_VERDICT_EMIT, .val.emit = {output, 1}};
}

static transformer_verdict_t reject(uint8_t problem, buffer reason) {
    return (transformer_verdict_t){
        .tag = SANDBAR_TRANSFORM_RECORDS_VERDICT_REJECT,
        .val.reject = {.tag = problem, .val.other = string_of(reason)},
    };
}

static transformer_verdict_t verdict(const transformer_event_t *event) {
    arena memory = {0};
    result made = {0};
    transformer_verdict_t verdict;
    switch (invoice_make(&settings, &memory, (slice){(const char *)event->data.ptr, event->data.len}, &made)) {
        case INVOICE: verdict = emit(made); break;
        case SKIP:
            verdict = (transformer_verdict_t){.tag = SANDBAR_TRANSFORM_RECORDS_VERDICT_DROP, .val.drop = string_of(made.reason)};
            break;
        case NO_TAX_RATE: verdict = reject(SANDBAR_TRANSFORM_TYPES_PROBLEM_OTHER, made.reason); break;
        case INVALID_EVENT: verdict = reject(SANDBAR_TRANSFORM_TYPES_PROBLEM_INVALID_EVENT, made.reason); break;
        default: abort();
    }
    arena_free(&memory);
    return verdict;
}

void exports_transformer_transform(transformer_list_event_t *batch, transformer_list_verdict_t *verdicts) {
    verdicts->len = batch->len;
    verdicts->ptr = malloc(batch->len * sizeof *verdicts->ptr);
    if (verdicts->ptr == NULL && batch->len > 0) abort();
    for (size_t index = 0; index < batch->len; index++) verdicts->ptr[index] = verdict(&batch->ptr[index]);
    // The batch belongs to this function; what is given out is freed by the bindings.
    transformer_list_event_free(batch);
}
