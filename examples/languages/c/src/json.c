#include "json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 100, BLOCK_SIZE = 16 * 1024 };

// ---- memory

// No memory is no matter of this event: the hub sees the trap, and tries again in a fresh instance.
static void *must(void *memory) {
    if (memory == NULL) abort();
    return memory;
}

struct arena_block {
    struct arena_block *before;
    size_t used, size;
    _Alignas(16) char bytes[];
};

void *arena_take(arena *arena, size_t size) {
    size = (size + 15) & ~(size_t)15;
    struct arena_block *block = arena->last;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = must(malloc(sizeof *block + room));
        *block = (struct arena_block){.before = arena->last, .used = 0, .size = room};
        arena->last = block;
    }
    void *taken = block->bytes + block->used;
    block->used += size;
    return taken;
}

void arena_free(arena *arena) {
    while (arena->last != NULL) {
        struct arena_block *block = arena->last;
        arena->last = block->before;
        free(block);
    }
}

bool slice_equals(slice one, slice other) {
    return one.length == other.length && memcmp(one.at, other.at, one.length) == 0;
}

// ---- reading

typedef struct {
    arena *arena;
    const char *at, *end;
    int depth;
} reader;

static json *read_value(reader *in);

static void skip_space(reader *in) {
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) in->at++;
}

static bool take(reader *in, char wanted) {
    if (in->at == in->end || *in->at != wanted) return false;
    in->at++;
    return true;
}

static bool take_word(reader *in, slice word) {
    if ((size_t)(in->end - in->at) < word.length || memcmp(in->at, word.at, word.length) != 0) return false;
    in->at += word.length;
    return true;
}

static json *new_value(reader *in, json_kind kind) {
    json *value = arena_take(in->arena, sizeof *value);
    *value = (json){.kind = kind};
    return value;
}

static char *write_utf8(char *to, uint32_t point) {
    if (point < 0x80) {
        *to++ = (char)point;
    } else if (point < 0x800) {
        *to++ = (char)(0xc0 | point >> 6);
        *to++ = (char)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *to++ = (char)(0xe0 | point >> 12);
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (char)(0x80 | (point & 0x3f));
    } else {
        *to++ = (char)(0xf0 | point >> 18);
        *to++ = (char)(0x80 | (point >> 12 & 0x3f));
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (char)(0x80 | (point & 0x3f));
    }
    return to;
}

// The length of the well-formed UTF-8 sequence (RFC 3629) that starts here; 0 when there is none.
static size_t utf8_sequence(const char *at, const char *end) {
    const uint8_t *bytes = (const uint8_t *)at;
    size_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xc2 ? 0 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : bytes[0] < 0xf5 ? 4 : 0;
    if (length == 0 || (size_t)(end - at) < length) return 0;
    for (size_t index = 1; index < length; index++) {
        if ((bytes[index] & 0xc0) != 0x80) return 0;
    }
    if (bytes[0] == 0xe0 && bytes[1] < 0xa0) return 0;   // longer than need be
    if (bytes[0] == 0xed && bytes[1] >= 0xa0) return 0;  // a surrogate
    if (bytes[0] == 0xf0 && bytes[1] < 0x90) return 0;   // longer than need be
    if (bytes[0] == 0xf4 && bytes[1] >= 0x90) return 0;  // over U+10FFFF
    return length;
}

static bool read_hex4(reader *in, uint32_t *unit) {
    if (in->end - in->at < 4) return false;
    *unit = 0;
    for (int digit = 0; digit < 4; digit++) {
        char letter = *in->at++;
        uint32_t value;
        if (letter >= '0' && letter <= '9') value = (uint32_t)(letter - '0');
        else if (letter >= 'a' && letter <= 'f') value = (uint32_t)(letter - 'a' + 10);
        else if (letter >= 'A' && letter <= 'F') value = (uint32_t)(letter - 'A' + 10);
        else return false;
        *unit = *unit << 4 | value;
    }
    return true;
}

// What follows a backslash.
static bool read_escape(reader *in, char **to) {
    if (in->at == in->end) return false;
    char letter = *in->at++;
    switch (letter) {
        case '"': case '\\': case '/': *(*to)++ = letter; return true;
        case 'b': *(*to)++ = '\b'; return true;
        case 'f': *(*to)++ = '\f'; return true;
        case 'n': *(*to)++ = '\n'; return true;
        case 'r': *(*to)++ = '\r'; return true;
        case 't': *(*to)++ = '\t'; return true;
        case 'u': break;
        default: return false;
    }
    uint32_t point;
    if (!read_hex4(in, &point)) return false;
    if (point >= 0xd800 && point <= 0xdbff) {
        uint32_t low;
        if (!take(in, '\\') || !take(in, 'u') || !read_hex4(in, &low) || low < 0xdc00 || low > 0xdfff) return false;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    } else if (point >= 0xdc00 && point <= 0xdfff) {
        return false;
    }
    *to = write_utf8(*to, point);
    return true;
}

// A text without escapes stays where it is; one with escapes is written anew, and is never longer.
static bool read_text(reader *in, slice *text) {
    if (!take(in, '"')) return false;
    const char *begin = in->at;
    while (in->at < in->end && *in->at != '"' && *in->at != '\\') {
        size_t length = (uint8_t)*in->at < 0x20 ? 0 : utf8_sequence(in->at, in->end);
        if (length == 0) return false;
        in->at += length;
    }
    if (in->at == in->end) return false;
    if (*in->at == '"') {
        *text = (slice){begin, (size_t)(in->at++ - begin)};
        return true;
    }
    const char *quote = in->at;
    while (quote < in->end && *quote != '"') quote += *quote == '\\' ? 2 : 1;
    if (quote >= in->end) return false;
    char *copy = arena_take(in->arena, (size_t)(quote - begin));
    size_t plain = (size_t)(in->at - begin);
    memcpy(copy, begin, plain);
    char *to = copy + plain;
    while (*in->at != '"') {
        if (take(in, '\\')) {
            if (!read_escape(in, &to)) return false;
            continue;
        }
        size_t length = (uint8_t)*in->at < 0x20 ? 0 : utf8_sequence(in->at, in->end);
        if (length == 0) return false;
        memcpy(to, in->at, length);
        to += length;
        in->at += length;
    }
    in->at++;
    *text = (slice){copy, (size_t)(to - copy)};
    return true;
}

static bool skip_digits(reader *in) {
    const char *begin = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
    return in->at > begin;
}

static json *read_number(reader *in) {
    const char *begin = in->at;
    take(in, '-');
    if (!take(in, '0') && !skip_digits(in)) return NULL;
    if (take(in, '.') && !skip_digits(in)) return NULL;
    if (take(in, 'e') || take(in, 'E')) {
        if (!take(in, '+')) take(in, '-');
        if (!skip_digits(in)) return NULL;
    }
    size_t length = (size_t)(in->at - begin);
    char *ended = arena_take(in->arena, length + 1);  // strtod reads until it finds no digit
    memcpy(ended, begin, length);
    ended[length] = '\0';
    json *value = new_value(in, JSON_NUMBER);
    value->number = strtod(ended, NULL);
    return value;
}

// `[1, 2]` or `{"a": 1}`, after the opening bracket.
static json *read_members(reader *in, json_kind kind) {
    char closing = kind == JSON_LIST ? ']' : '}';
    json *parent = new_value(in, kind);
    json **next = &parent->first;
    skip_space(in);
    if (take(in, closing)) return parent;
    if (++in->depth > DEEPEST) return NULL;
    do {
        slice key = {0};
        skip_space(in);
        if (kind == JSON_OBJECT) {
            if (!read_text(in, &key)) return NULL;
            skip_space(in);
            if (!take(in, ':')) return NULL;
        }
        json *value = read_value(in);
        if (value == NULL) return NULL;
        value->key = key;
        *next = value;
        next = &value->next;
        skip_space(in);
    } while (take(in, ','));
    in->depth--;
    return take(in, closing) ? parent : NULL;
}

static json *read_value(reader *in) {
    skip_space(in);
    if (take(in, '{')) return read_members(in, JSON_OBJECT);
    if (take(in, '[')) return read_members(in, JSON_LIST);
    if (take_word(in, SLICE("null"))) return new_value(in, JSON_NULL);
    if (take_word(in, SLICE("true"))) return new_value(in, JSON_TRUE);
    if (take_word(in, SLICE("false"))) return new_value(in, JSON_FALSE);
    if (in->at < in->end && *in->at == '"') {
        json *value = new_value(in, JSON_TEXT);
        return read_text(in, &value->text) ? value : NULL;
    }
    return read_number(in);
}

json *json_parse(arena *arena, slice bytes) {
    reader in = {.arena = arena, .at = bytes.at, .end = bytes.at + bytes.length};
    json *value = read_value(&in);
    skip_space(&in);
    return in.at == in.end ? value : NULL;
}

const json *json_find(const json *parent, slice key) {
    if (!json_is(parent, JSON_OBJECT)) return NULL;
    for (const json *member = parent->first; member != NULL; member = member->next) {
        if (slice_equals(member->key, key)) return member->kind == JSON_NULL ? NULL : member;
    }
    return NULL;
}

const json *json_get(const json *parent, const char *key) {
    return json_find(parent, (slice){key, strlen(key)});
}

bool json_is(const json *value, json_kind kind) {
    return value != NULL && value->kind == kind;
}

// ---- writing

static void make_room(buffer *buffer, size_t more) {
    if (buffer->capacity - buffer->length >= more) return;
    buffer->capacity = 2 * (buffer->length + more);
    buffer->at = must(realloc(buffer->at, buffer->capacity));
}

void buffer_add(buffer *buffer, slice bytes) {
    if (bytes.length == 0) return;
    make_room(buffer, bytes.length);
    memcpy(buffer->at + buffer->length, bytes.at, bytes.length);
    buffer->length += bytes.length;
}

void buffer_vprint(buffer *buffer, const char *format, va_list values) {
    va_list again;
    va_copy(again, values);
    size_t length = (size_t)vsnprintf(NULL, 0, format, values);
    make_room(buffer, length + 1);
    vsnprintf(buffer->at + buffer->length, length + 1, format, again);
    buffer->length += length;
    va_end(again);
}

void buffer_print(buffer *buffer, const char *format, ...) {
    va_list values;
    va_start(values, format);
    buffer_vprint(buffer, format, values);
    va_end(values);
}

void buffer_add_json_text(buffer *buffer, slice text) {
    static const char SHORT[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    buffer_add(buffer, SLICE("\""));
    const char *end = text.at + text.length, *plain = text.at;
    for (const char *at = text.at; at < end; at++) {
        uint8_t letter = (uint8_t)*at;
        if (letter >= 0x20 && letter != '"' && letter != '\\') continue;
        buffer_add(buffer, (slice){plain, (size_t)(at - plain)});
        plain = at + 1;
        if (letter >= 0x20) buffer_print(buffer, "\\%c", letter);
        else if (letter < sizeof SHORT && SHORT[letter] != 0) buffer_print(buffer, "\\%c", SHORT[letter]);
        else buffer_print(buffer, "\\u%04x", letter);
    }
    buffer_add(buffer, (slice){plain, (size_t)(end - plain)});
    buffer_add(buffer, SLICE("\""));
}
