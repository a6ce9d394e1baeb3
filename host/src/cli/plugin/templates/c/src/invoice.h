// An order becomes an invoice. This knows nothing of the hub, and is tested without it.
#pragma once

#include "json.h"

// The step's config: {"currency": "DKK"}.
typedef struct {
    slice currency;
} config;

// The currency lies in the arena and in `text`. False: what does not fit is in `reason`.
bool config_read(config *config, arena *arena, slice text, buffer *reason);

typedef enum { INVOICE, NOTHING, INVALID } outcome;

// The invoice as JSON, or the reason. What was written into `out` belongs to the caller.
outcome invoice_make(const config *config, slice data, buffer *out);
