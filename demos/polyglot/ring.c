// The link of the ring in C: `pass(text) -> text` adds this language, hands the text to the host's `pass`, and
// answers what that answered. One call at a time, one byte at a time.

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ipfi.h"

static uint32_t wire;

static void put_all(const char *text) {
    while (*text) ipfi_put(wire, (uint8_t)*text++);
}

// The number of bytes of a MessagePack text that is the only argument, or -1.
static int32_t take_head(void) {
    if (ipfi_take(wire) != 0x91) return -1;
    int32_t head = ipfi_take(wire);
    if (head >= 0xa0 && head < 0xc0) return head & 31;
    if (head == 0xd9) return ipfi_take(wire);
    if (head != 0xda) return -1;
    int32_t high = ipfi_take(wire);
    return high << 8 | ipfi_take(wire);
}

static void on_event(int32_t event) {
    static const char mine[] = " -> C";
    static uint32_t caller, pass;
    int32_t length, byte;
    switch (event) {
    case IPFI_EVENT_CALL:
        caller = (uint32_t)ipfi_subject(wire);
        if (!pass) {
            put_all("pass");
            pass = (uint32_t)ipfi_bind(wire, 0, 0);
        }
        length = take_head();
        if (length < 0 || length != ipfi_length(wire)) {
            ipfi_fail(wire, caller, 9, 0);
            break;
        }
        length += (int32_t)strlen(mine);
        ipfi_put(wire, 0x91);
        ipfi_put(wire, 0xda);
        ipfi_put(wire, (uint32_t)length >> 8 & 0xff);
        ipfi_put(wire, (uint32_t)length & 0xff);
        while ((byte = ipfi_take(wire)) >= 0) ipfi_put(wire, (uint32_t)byte);
        put_all(mine);
        if (ipfi_call(wire, pass, 0, 0) < 0) ipfi_fail(wire, caller, 14, 1);
        break;
    case IPFI_EVENT_ANSWER:
        while ((byte = ipfi_take(wire)) >= 0) ipfi_put(wire, (uint32_t)byte);
        ipfi_answer(wire, caller);
        break;
    case IPFI_EVENT_FAILED:
        ipfi_fail(wire, caller, (uint32_t)ipfi_code(wire), 1);
        break;
    default:
        break;
    }
}

int main(void) {
    wire = ipfi_open();
    // It reads without a clock, so nothing may depend on one.
    ipfi_option(wire, IPFI_OPTION_HANDSHAKE, 0);
    put_all("pass");
    ipfi_offer(wire, 0, 0, 0);
    for (;;) {
        int32_t event, byte;
        while ((event = ipfi_event(wire)) > 0) on_event(event);
        while ((byte = ipfi_transmit(wire)) >= 0) putchar(byte);
        fflush(stdout);
        if (ipfi_is_closed(wire)) break;
        byte = getchar();
        if (byte == EOF) ipfi_receive_end(wire);
        else ipfi_receive(wire, (uint32_t)byte);
    }
    ipfi_free(wire);
    return 0;
}
