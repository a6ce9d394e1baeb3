// An order becomes an invoice. This knows nothing of WebAssembly: replace it by your mapping.
#pragma once

#include "json.h"

// The step's config: {"currency": "EUR", "prefix": "INV-", "tax": {"DE": 1900}}.
typedef struct {
    slice currency, prefix;
    const json *tax;  // hundredths of a percent by country
} config;

// What the texts and the table point to lies in the arena and in `text`. False: what does not fit is
// in `reason`.
bool config_read(config *config, arena *arena, slice text, buffer *reason);

typedef enum { INVOICE, SKIP, INVALID_EVENT, NO_TAX_RATE } outcome;

typedef struct {
    buffer number;  // of an invoice
    slice country;  // of an invoice, in the arena
    buffer data;    // of an invoice: canonical JSON
    buffer reason;  // of all other outcomes
} result;

// The buffers of the result belong to the caller.
outcome invoice_make(const config *config, arena *arena, slice data, result *result);
