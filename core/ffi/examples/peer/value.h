// Values in MessagePack: read from memory, written into the next command of a wire.

#ifndef VALUE_H
#define VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What is left to be read.
typedef struct {
    const uint8_t *at, *end;
} Reader;

bool read_array(Reader *from, uint32_t *items);
bool read_int(Reader *from, int64_t *value);
bool read_text(Reader *from, const uint8_t **text, uint32_t *length);
bool read_bytes(Reader *from, const uint8_t **bytes, uint32_t *length);
// Passes over one value of any kind.
bool read_any(Reader *from);

void put_nil(uint32_t wire);
void put_int(uint32_t wire, int64_t value);
void put_array(uint32_t wire, uint32_t items);
void put_map(uint32_t wire, uint32_t pairs);
void put_text(uint32_t wire, const void *text, size_t length);
void put_bytes(uint32_t wire, const void *bytes, size_t length);

#endif
