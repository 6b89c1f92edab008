#include "value.h"

#include "ipfi.h"

static size_t left(const Reader *from) {
    return (size_t)(from->end - from->at);
}

// Most significant byte first.
static bool read_big(Reader *from, unsigned bytes, uint64_t *value) {
    if (left(from) < bytes) return false;
    *value = 0;
    while (bytes-- > 0) *value = *value << 8 | *from->at++;
    return true;
}

static bool read_head(Reader *from, uint8_t *head) {
    if (left(from) == 0) return false;
    *head = *from->at++;
    return true;
}

// A length behind one of three heads in a row, for 1, 2 and 4 bytes or for 2 and 4.
static bool read_length(Reader *from, unsigned bytes, uint32_t *length) {
    uint64_t value;
    if (!read_big(from, bytes, &value)) return false;
    *length = (uint32_t)value;
    return true;
}

bool read_array(Reader *from, uint32_t *items) {
    uint8_t head;
    if (!read_head(from, &head)) return false;
    *items = head & 15;
    if (head >> 4 == 9) return true;
    return (head == 0xdc || head == 0xdd) && read_length(from, head == 0xdc ? 2 : 4, items);
}

bool read_int(Reader *from, int64_t *value) {
    uint8_t head;
    uint64_t big;
    if (!read_head(from, &head)) return false;
    if (head < 0x80 || head >= 0xe0) {
        *value = (int8_t)head;
        return true;
    }
    if (head < 0xcc || head > 0xd3) return false;
    unsigned bytes = 1u << (head & 3);
    if (!read_big(from, bytes, &big)) return false;
    bool is_signed = head >= 0xd0;
    if (is_signed && bytes < 8 && big >> (8 * bytes - 1)) big |= ~UINT64_C(0) << 8 * bytes;
    if (!is_signed && big > INT64_MAX) return false;
    *value = (int64_t)big;
    return true;
}

static bool read_span(Reader *from, uint32_t length, const uint8_t **bytes) {
    if (left(from) < length) return false;
    *bytes = from->at;
    from->at += length;
    return true;
}

bool read_text(Reader *from, const uint8_t **text, uint32_t *length) {
    uint8_t head;
    if (!read_head(from, &head)) return false;
    *length = head & 31;
    if (head >> 5 != 5) {
        if (head < 0xd9 || head > 0xdb) return false;
        if (!read_length(from, 1u << (head - 0xd9), length)) return false;
    }
    return read_span(from, *length, text);
}

bool read_bytes(Reader *from, const uint8_t **bytes, uint32_t *length) {
    uint8_t head;
    if (!read_head(from, &head) || head < 0xc4 || head > 0xc6) return false;
    return read_length(from, 1u << (head - 0xc4), length) && read_span(from, *length, bytes);
}

bool read_any(Reader *from) {
    // Nested values are counted, not followed, so that depth takes no stack. Each takes a byte at
    // least, so there cannot be more of them than bytes.
    for (uint64_t values = 1; values > 0; values--) {
        if (values > left(from)) return false;
        uint8_t head = *from->at;
        uint32_t length;
        int64_t number;
        const uint8_t *bytes;
        if (head < 0x80 || head >= 0xe0 || (head >= 0xcc && head <= 0xd3)) {
            if (head == 0xcf && left(from) >= 9) from->at += 9;
            else if (!read_int(from, &number)) return false;
        } else if (head >> 5 == 5 || (head >= 0xd9 && head <= 0xdb)) {
            if (!read_text(from, &bytes, &length)) return false;
        } else if (head >= 0xc4 && head <= 0xc6) {
            if (!read_bytes(from, &bytes, &length)) return false;
        } else if (head >> 4 == 9 || head == 0xdc || head == 0xdd) {
            if (!read_array(from, &length)) return false;
            values += length;
        } else if (head >> 4 == 8 || head == 0xde || head == 0xdf) {
            length = head & 15;
            from->at++;
            if (head >> 4 != 8 && !read_length(from, head == 0xde ? 2 : 4, &length)) return false;
            values += 2 * (uint64_t)length;
        } else if (head == 0xc0 || head == 0xc2 || head == 0xc3) {
            from->at++;
        } else if (head == 0xca || head == 0xcb) {
            from->at++;
            if (!read_span(from, head == 0xca ? 4 : 8, &bytes)) return false;
        } else {
            return false;
        }
    }
    return true;
}

static void put_big(uint32_t wire, uint8_t head, unsigned bytes, uint64_t value) {
    ipfi_put(wire, head);
    while (bytes-- > 0) ipfi_put(wire, (uint8_t)(value >> 8 * bytes));
}

void put_nil(uint32_t wire) {
    ipfi_put(wire, 0xc0);
}

void put_int(uint32_t wire, int64_t value) {
    if (value >= -32 && value < 128) ipfi_put(wire, (uint8_t)value);
    else if (value >= 0 && value <= UINT8_MAX) put_big(wire, 0xcc, 1, (uint64_t)value);
    else if (value >= 0 && value <= UINT16_MAX) put_big(wire, 0xcd, 2, (uint64_t)value);
    else if (value >= 0 && value <= UINT32_MAX) put_big(wire, 0xce, 4, (uint64_t)value);
    else if (value >= 0) put_big(wire, 0xcf, 8, (uint64_t)value);
    else if (value >= INT8_MIN) put_big(wire, 0xd0, 1, (uint64_t)value);
    else if (value >= INT16_MIN) put_big(wire, 0xd1, 2, (uint64_t)value);
    else if (value >= INT32_MIN) put_big(wire, 0xd2, 4, (uint64_t)value);
    else put_big(wire, 0xd3, 8, (uint64_t)value);
}

void put_array(uint32_t wire, uint32_t items) {
    if (items < 16) ipfi_put(wire, 0x90 | items);
    else if (items <= UINT16_MAX) put_big(wire, 0xdc, 2, items);
    else put_big(wire, 0xdd, 4, items);
}

void put_map(uint32_t wire, uint32_t pairs) {
    if (pairs < 16) ipfi_put(wire, 0x80 | pairs);
    else if (pairs <= UINT16_MAX) put_big(wire, 0xde, 2, pairs);
    else put_big(wire, 0xdf, 4, pairs);
}

void put_text(uint32_t wire, const void *text, size_t length) {
    if (length < 32) ipfi_put(wire, 0xa0 | (uint32_t)length);
    else if (length <= UINT8_MAX) put_big(wire, 0xd9, 1, length);
    else if (length <= UINT16_MAX) put_big(wire, 0xda, 2, length);
    else put_big(wire, 0xdb, 4, length);
    ipfi_put_buffer(wire, text, (uint32_t)length);
}

void put_bytes(uint32_t wire, const void *bytes, size_t length) {
    if (length <= UINT8_MAX) put_big(wire, 0xc4, 1, length);
    else if (length <= UINT16_MAX) put_big(wire, 0xc5, 2, length);
    else put_big(wire, 0xc6, 4, length);
    ipfi_put_buffer(wire, bytes, (uint32_t)length);
}
