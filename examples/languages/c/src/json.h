// A JSON reader (RFC 8259, strict) and the two things that a writer needs. No other dependencies.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

// Bytes of somebody else; texts are not ended by a NUL, and may have one inside.
typedef struct {
    const char *at;
    size_t length;
} slice;

#define SLICE(literal) ((slice){literal, sizeof(literal) - 1})
bool slice_equals(slice one, slice other);

// Memory that is given back all at once. Start with {0}.
typedef struct arena {
    struct arena_block *last;
} arena;

void *arena_take(arena *arena, size_t size);
void arena_free(arena *arena);

typedef enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT } json_kind;

typedef struct json json;
struct json {
    json_kind kind;
    double number;
    slice text;
    json *first;  // of a list or an object
    slice key;    // within an object
    json *next;   // within a list or an object
};

// NULL when the bytes are not one JSON value in UTF-8, or nest deeper than 100 levels.
json *json_parse(arena *arena, slice bytes);
// The member of an object. NULL when there is none, it is null, or `parent` is no object.
const json *json_get(const json *parent, const char *key);
const json *json_find(const json *parent, slice key);
bool json_is(const json *value, json_kind kind);

// Text that grows. Start with {0}; `at` belongs to who holds the buffer.
typedef struct {
    char *at;
    size_t length, capacity;
} buffer;

void buffer_add(buffer *buffer, slice bytes);
void buffer_print(buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vprint(buffer *buffer, const char *format, va_list values);
// As a JSON text in quotes, with nothing escaped that need not be.
void buffer_add_json_text(buffer *buffer, slice text);
