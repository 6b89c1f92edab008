// What the peer serves.

#include <stdlib.h>
#include <string.h>

#include "peer.h"

uint32_t hangs_cancelled;

static void echo(uint32_t caller, Reader arguments) {
    ipfi_put_buffer(wire, arguments.at, (uint32_t)(arguments.end - arguments.at));
    ipfi_answer(wire, caller);
}

static void add(uint32_t caller, Reader arguments) {
    int64_t a, b;
    if (!read_int(&arguments, &a) || !read_int(&arguments, &b)) {
        refuse(caller);
    } else if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) {
        static const char text[] = "the sum is too large";
        ipfi_put_buffer(wire, (const uint8_t *)text, sizeof text - 1);
        ipfi_fail(wire, caller, FAILED, 1);
    } else {
        put_int(wire, a + b);
        ipfi_answer(wire, caller);
    }
}

static void fail(uint32_t caller, Reader arguments) {
    int64_t code;
    const uint8_t *text;
    uint32_t length;
    if (!read_int(&arguments, &code) || code < 0 || code > INT32_MAX || !read_text(&arguments, &text, &length)) {
        refuse(caller);
        return;
    }
    ipfi_put_buffer(wire, text, length);
    ipfi_fail(wire, caller, (uint32_t)code, 1);
}

static void counted(Task *task, uint32_t code) {
    (void)code;
    if (task->caller) {
        put_int(wire, task->i);
        task_answer(task);
    } else {
        task_end(task);
    }
}

static void count(uint32_t caller, Reader arguments) {
    int64_t n;
    int32_t stream;
    if (!read_int(&arguments, &n)) {
        refuse(caller);
    } else if ((stream = ipfi_stream(wire, IPFI_OUTGOING)) < 0) {
        ipfi_fail(wire, caller, FAILED, 0);
    } else {
        // The stream outlives the call.
        Task *task = task_new(0);
        task->n = n;
        task->to = (uint32_t)stream;
        task->writable = send_numbers;
        task->stopped = counted;
        put_int(wire, ipfi_give(wire, task->to));
        ipfi_answer(wire, caller);
        send_numbers(task);
    }
}

// The stream or callback that came at the place which the next argument names, if it is of this kind.
// What came and is not named is let go by itself.
static uint32_t take(Reader *arguments, int32_t kind) {
    int64_t place;
    if (!read_int(arguments, &place)) return 0;
    // They are taken in their order, and the list of procedures names them so.
    int32_t thing = ipfi_take_thing(wire);
    if (thing < 0) return 0;
    if (ipfi_kind(wire, (uint32_t)thing) == kind) return (uint32_t)thing;
    ipfi_let_go(wire, (uint32_t)thing, BAD_ARGUMENTS);
    return 0;
}

static void count_into(uint32_t caller, Reader arguments) {
    int64_t n;
    uint32_t to;
    if (!read_int(&arguments, &n) || !(to = take(&arguments, IPFI_KIND_SENDER))) {
        refuse(caller);
        return;
    }
    Task *task = task_new(caller);
    task->n = n;
    task->to = to;
    task->writable = send_numbers;
    task->stopped = counted;
    send_numbers(task);
}

// A stream ended: fails as it did.
static void broken(Task *task) {
    uint32_t code = (uint32_t)ipfi_code(wire);
    task->from = 0;
    pass_on();
    task_fail(task, code);
}

static void sum_readable(Task *task) {
    int32_t result;
    uint8_t bytes[16];
    while ((result = ipfi_read(wire, task->from)) == IPFI_OK) {
        int32_t length = ipfi_take_buffer(wire, bytes, sizeof bytes);
        Reader item = {bytes, bytes + length};
        int64_t n;
        if (!read_int(&item, &n)) {
            task_fail(task, BAD_ARGUMENTS);
            return;
        }
        task->sum = (int64_t)((uint64_t)task->sum + (uint64_t)n);
    }
    if (result == IPFI_NONE) return;
    if (ipfi_code(wire) != 0) {
        broken(task);
        return;
    }
    task->from = 0;
    put_int(wire, task->sum);
    task_answer(task);
}

static void sum(uint32_t caller, Reader arguments) {
    uint32_t from = take(&arguments, IPFI_KIND_RECEIVER);
    if (!from) {
        refuse(caller);
        return;
    }
    Task *task = task_new(caller);
    task->from = from;
    task->readable = sum_readable;
}

static void relay_on(Task *task) {
    for (;;) {
        if (task->held) {
            ipfi_put_buffer(wire, task->held, task->held_length);
            int32_t sent = ipfi_item(wire, task->to);
            ipfi_clear(wire);
            if (sent == IPFI_BLOCKED) return;
            free(task->held);
            task->held = NULL;
            if (sent != IPFI_OK) {
                // Too large for the host, or over: `stopped` comes.
                if (sent == IPFI_TOO_LARGE) task_fail(task, TOO_LARGE);
                return;
            }
            task->i++;
        }
        int32_t result = ipfi_read(wire, task->from);
        if (result == IPFI_NONE) return;
        if (result != IPFI_OK) break;
        task->held_length = (uint32_t)ipfi_length(wire);
        task->held = malloc(task->held_length + 1);
        if (!task->held) abort();
        ipfi_take_buffer(wire, task->held, task->held_length);
    }
    if (ipfi_code(wire) != 0) {
        broken(task);
        return;
    }
    task->from = 0;
    ipfi_finish(wire, task->to);
    task->to = 0;
    put_int(wire, task->i);
    task_answer(task);
}

static void relay(uint32_t caller, Reader arguments) {
    uint32_t from = take(&arguments, IPFI_KIND_RECEIVER), to = take(&arguments, IPFI_KIND_SENDER);
    if (!from || !to) {
        if (from) ipfi_let_go(wire, from, BAD_ARGUMENTS);
        if (to) ipfi_let_go(wire, to, BAD_ARGUMENTS);
        refuse(caller);
        return;
    }
    Task *task = task_new(caller);
    task->from = from;
    task->to = to;
    task->readable = relay_on;
    task->writable = relay_on;
    task->stopped = task_fail;
}

static void call_back_next(Task *task) {
    if (task->i == task->n) {
        ipfi_let_go(wire, task->callback, 0);
        task->callback = 0;
        put_int(wire, task->sum);
        task_answer(task);
        return;
    }
    put_array(wire, 1);
    put_int(wire, task->i++);
    task_call(task, task->callback, 0);
}

static void call_back_answered(Task *task, uint32_t call, Reader result) {
    int64_t value;
    (void)call;
    if (!read_int(&result, &value)) {
        task_fail(task, BAD_RESULT);
        return;
    }
    task->sum += value;
    call_back_next(task);
}

static void call_back(uint32_t caller, Reader arguments) {
    int64_t k;
    uint32_t callback = take(&arguments, IPFI_KIND_REMOTE);
    if (!callback || !read_int(&arguments, &k) || k < 0) {
        if (callback) ipfi_let_go(wire, callback, 0);
        refuse(caller);
        return;
    }
    Task *task = task_new(caller);
    task->callback = callback;
    task->n = k;
    task->answered = call_back_answered;
    call_back_next(task);
}

static void hang(uint32_t caller, Reader arguments) {
    (void)arguments;
    task_new(caller)->hangs = true;
}

static void cancelled(uint32_t caller, Reader arguments) {
    (void)arguments;
    put_int(wire, hangs_cancelled);
    ipfi_answer(wire, caller);
}

static void leave(uint32_t caller, Reader arguments) {
    (void)arguments;
    put_nil(wire);
    ipfi_answer(wire, caller);
    ipfi_close(wire, 0);
}

static void put_string(const char *text) {
    put_text(wire, text, strlen(text));
}

// FNV-1a.
static uint64_t hash_on(uint64_t hash, const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    while (length-- > 0) hash = (hash ^ *at++) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_of(const Entry *entries, uint64_t hash) {
    for (; entries->name; entries++) {
        hash = hash_on(hash, entries->name, strlen(entries->name));
        hash = hash_on(hash, "\xff", 1);
        hash = hash_on(hash, entries->signature, strlen(entries->signature));
        // No text and no fingerprint.
        hash = hash_on(hash, "\xff\xff\0\0\0\0\0\0\0", 10);
    }
    return hash;
}

static uint32_t put_entries(const Entry *entries, bool really) {
    uint32_t n = 0;
    for (; entries->name; entries++, n++) {
        if (!really) continue;
        put_map(wire, 4);
        put_string("name"), put_string(entries->name);
        put_string("signature"), put_string(entries->signature);
        put_string("doc"), put_string("");
        put_string("fingerprint"), put_int(wire, 0);
    }
    return n;
}

void describe(uint32_t caller, Reader arguments) {
    // Below 2^63, so that it is an integer here as well.
    int64_t hash = (int64_t)(hash_of(driven, hash_of(served, UINT64_C(0xcbf29ce484222325))) >> 1);
    uint32_t known;
    bool is_known = false;
    if (!read_array(&arguments, &known)) {
        refuse(caller);
        return;
    }
    while (known-- > 0) {
        int64_t other;
        Reader item = arguments;
        is_known |= read_int(&item, &other) && other == hash;
        if (!read_any(&arguments)) break;
    }
    put_map(wire, 1);
    if (is_known) {
        put_string("Known"), put_int(wire, hash);
    } else {
        put_string("New");
        put_map(wire, 2);
        put_string("hash"), put_int(wire, hash);
        put_string("procedures");
        put_array(wire, put_entries(served, false) + put_entries(driven, false));
        put_entries(served, true);
        put_entries(driven, true);
    }
    ipfi_answer(wire, caller);
}

const Entry served[] = {
    {"echo", "(_) -> _", 1, echo},
    {"add", "(i64, i64) -> i64", 2, add},
    {"fail", "(u32, String)", 2, fail},
    {"count", "(i64) -> Receiver<i64>", 1, count},
    {"count_into", "(i64, Sender<i64>) -> i64", 2, count_into},
    {"sum", "(Receiver<i64>) -> i64", 1, sum},
    {"relay", "(Receiver<_>, Sender<_>) -> i64", 2, relay},
    {"call_back", "(Callback<(i64), i64>, i64) -> i64", 2, call_back},
    {"hang", "()", 0, hang},
    {"cancelled", "() -> u32", 0, cancelled},
    {"leave", "()", 0, leave},
    {"ipfi.describe", "(Vec<u64>) -> _", 1, describe},
    {0},
};
