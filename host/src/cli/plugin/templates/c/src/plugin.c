// The plugin's surface: what the hub calls. The work itself is in invoice.c.

#include <stdlib.h>

#include "../bindings/transformer.h"
#include "invoice.h"

// Once per instance, for its whole life.
static config settings;
static arena settings_memory;

// What is given out is freed by the bindings, after the hub has read it.
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

static transformer_verdict_t emit(buffer invoice) {
    sandbar_transform_records_output_t *output = malloc(sizeof *output);
    if (output == NULL) abort();
    // What is not set is inherited from the event.
    *output = (sandbar_transform_records_output_t){
        .type.is_some = true,
        .data = {.is_some = true, .val = {(uint8_t *)invoice.at, invoice.length}},
    };
    transformer_string_dup(&output->type.val, "invoice.due");
    return (transformer_verdict_t){.tag = SANDBAR_TRANSFORM_RECORDS_VERDICT_EMIT, .val.emit = {output, 1}};
}

static transformer_verdict_t verdict(const transformer_event_t *event) {
    buffer out = {0};
    switch (invoice_make(&settings, (slice){(const char *)event->data.ptr, event->data.len}, &out)) {
        case INVOICE: return emit(out);
        case NOTHING:
            return (transformer_verdict_t){.tag = SANDBAR_TRANSFORM_RECORDS_VERDICT_DROP, .val.drop = string_of(out)};
        case INVALID:
            return (transformer_verdict_t){
                .tag = SANDBAR_TRANSFORM_RECORDS_VERDICT_REJECT,
                .val.reject = {.tag = SANDBAR_TRANSFORM_TYPES_PROBLEM_INVALID_EVENT, .val.invalid_event = string_of(out)},
            };
    }
    abort();
}

void exports_transformer_transform(transformer_list_event_t *batch, transformer_list_verdict_t *verdicts) {
    verdicts->len = batch->len;
    verdicts->ptr = malloc(batch->len * sizeof *verdicts->ptr);
    if (verdicts->ptr == NULL && batch->len > 0) abort();
    for (size_t index = 0; index < batch->len; index++) verdicts->ptr[index] = verdict(&batch->ptr[index]);
    // The batch belongs to this function.
    transformer_list_event_free(batch);
}
