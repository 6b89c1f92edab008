// What the peer does when it is told to: it calls the host.

#include <stdlib.h>
#include <string.h>

#include "peer.h"

// The result of its only call is that of the task.
static void same(Task *task, uint32_t call, Reader result) {
    (void)call;
    ipfi_put_buffer(wire, result.at, (uint32_t)(result.end - result.at));
    task_answer(task);
}

static Task *drive(uint32_t caller) {
    Task *task = task_new(caller);
    task->answered = same;
    return task;
}

// Reads a number that is not below 0.
static bool read_count(Reader *from, int64_t *n) {
    return read_int(from, n) && *n >= 0;
}

static void drive_echo(uint32_t caller, Reader arguments) {
    uint32_t echo = host("echo");
    put_array(wire, 1);
    ipfi_put_buffer(wire, arguments.at, (uint32_t)(arguments.end - arguments.at));
    task_call(drive(caller), echo, 0);
}

static void drive_add(uint32_t caller, Reader arguments) {
    uint32_t add = host("add");
    put_array(wire, 2);
    ipfi_put_buffer(wire, arguments.at, (uint32_t)(arguments.end - arguments.at));
    task_call(drive(caller), add, 0);
}

static void fail_failed(Task *task, uint32_t call, uint32_t code) {
    (void)call;
    uint32_t length = (uint32_t)ipfi_length(wire);
    uint8_t text[1024];
    ipfi_take_buffer(wire, text, length);
    put_array(wire, 3);
    put_int(wire, code);
    put_text(wire, text, length);
    put_int(wire, ipfi_started(wire));
    task_answer(task);
}

static void drive_fail(uint32_t caller, Reader arguments) {
    uint32_t fail = host("fail");
    put_array(wire, 2);
    ipfi_put_buffer(wire, arguments.at, (uint32_t)(arguments.end - arguments.at));
    Task *task = drive(caller);
    task->failed = fail_failed;
    task_call(task, fail, 0);
}

static void answer_code(Task *task, uint32_t call, uint32_t code) {
    (void)call;
    put_int(wire, code);
    task_answer(task);
}

static void drive_missing(uint32_t caller, Reader arguments) {
    (void)arguments;
    uint32_t missing = host("no_such_procedure");
    Task *task = drive(caller);
    task->failed = answer_code;
    put_nil(wire);
    task_call(task, missing, 0);
}

static void drive_deadline(uint32_t caller, Reader arguments) {
    int64_t millis;
    if (!read_count(&arguments, &millis)) {
        refuse(caller);
        return;
    }
    uint32_t hang = host("hang");
    Task *task = drive(caller);
    task->failed = answer_code;
    put_nil(wire);
    task_call(task, hang, (uint32_t)millis);
}

static void large_answered(Task *task, uint32_t call, Reader result) {
    const uint8_t *bytes;
    uint32_t length;
    (void)call;
    bool good = read_bytes(&result, &bytes, &length) && length == task->n;
    for (int64_t i = 0; good && i < task->n; i++) good = bytes[i] == (uint8_t)(i * 7 + 1);
    if (!good) {
        task_fail(task, BAD_RESULT);
        return;
    }
    put_int(wire, task->n);
    task_answer(task);
}

static void drive_large(uint32_t caller, Reader arguments) {
    int64_t n;
    uint8_t *bytes;
    if (!read_count(&arguments, &n) || n > INT32_MAX || !(bytes = malloc((size_t)n + 1))) {
        refuse(caller);
        return;
    }
    uint32_t echo = host("echo");
    for (int64_t i = 0; i < n; i++) bytes[i] = (uint8_t)(i * 7 + 1);
    Task *task = drive(caller);
    task->n = n;
    task->answered = large_answered;
    put_array(wire, 1);
    put_bytes(wire, bytes, (size_t)n);
    free(bytes);
    task_call(task, echo, 0);
}

static void many_answered(Task *task, uint32_t call, Reader result) {
    int64_t sum;
    (void)call;
    if (!read_int(&result, &sum)) {
        task_fail(task, BAD_RESULT);
        return;
    }
    task->sum += sum;
    if (task->calls_open > 0) return;
    put_int(wire, task->sum);
    task_answer(task);
}

static void drive_many(uint32_t caller, Reader arguments) {
    int64_t n;
    if (!read_count(&arguments, &n)) {
        refuse(caller);
        return;
    }
    uint32_t add = host("add");
    Task *task = drive(caller);
    task->answered = many_answered;
    for (int64_t i = 0; i < n; i++) {
        put_array(wire, 2);
        put_int(wire, i);
        put_int(wire, 1);
        if (!task_call(task, add, 0)) return;
    }
    if (n == 0) {
        put_int(wire, 0);
        task_answer(task);
    }
}

// Reads integers: adds them, or checks that they count up from 0 if the task relays.
static void totals(Task *task) {
    int32_t result = IPFI_OK;
    uint8_t bytes[16];
    // `drive_stop` wants so many and no more.
    while ((task->n < 0 || task->i < task->n) && (result = ipfi_read(wire, task->from)) == IPFI_OK) {
        int32_t length = ipfi_take_buffer(wire, bytes, sizeof bytes);
        Reader item = {bytes, bytes + length};
        int64_t n;
        if (!read_int(&item, &n)) {
            task_fail(task, BAD_RESULT);
            return;
        }
        task->sum += n;
        task->i++;
    }
    if (result == IPFI_NONE) return;
    if (result == IPFI_OVER) task->from = 0;
    if (result == IPFI_OVER && ipfi_code(wire) != 0) {
        uint32_t code = (uint32_t)ipfi_code(wire);
        pass_on();
        task_fail(task, code);
        return;
    }
    put_int(wire, task->sum);
    task_answer(task);
}

static void count_answered(Task *task, uint32_t call, Reader result) {
    int32_t stream = ipfi_take_thing(wire);
    (void)call;
    (void)result;
    if (stream < 0 || ipfi_kind(wire, (uint32_t)stream) != IPFI_KIND_RECEIVER) {
        task_fail(task, BAD_RESULT);
        return;
    }
    task->from = (uint32_t)stream;
    task->readable = totals;
    totals(task);
}

static void count_on_host(uint32_t caller, int64_t n, int64_t most) {
    uint32_t count = host("count");
    Task *task = drive(caller);
    task->n = most;
    task->answered = count_answered;
    put_array(wire, 1);
    put_int(wire, n);
    task_call(task, count, 0);
}

static void drive_count(uint32_t caller, Reader arguments) {
    int64_t n;
    if (read_count(&arguments, &n)) count_on_host(caller, n, -1);
    else refuse(caller);
}

static void drive_stop(uint32_t caller, Reader arguments) {
    int64_t n;
    if (read_count(&arguments, &n)) count_on_host(caller, 1000000000, n);
    else refuse(caller);
}

static void ignore(Task *task, uint32_t call, Reader result) {
    (void)task, (void)call, (void)result;
}

// Makes a stream for a task; fails it if the host takes no more.
static uint32_t stream(Task *task, uint32_t direction) {
    int32_t made = ipfi_stream(wire, direction);
    if (made > 0) return (uint32_t)made;
    task_fail(task, FAILED);
    return 0;
}

static void drive_count_into(uint32_t caller, Reader arguments) {
    int64_t n;
    if (!read_count(&arguments, &n)) {
        refuse(caller);
        return;
    }
    uint32_t count_into = host("count_into");
    Task *task = drive(caller);
    task->n = -1;
    task->answered = ignore;
    task->readable = totals;
    if (!(task->from = stream(task, IPFI_INCOMING))) return;
    put_array(wire, 2);
    put_int(wire, n);
    put_int(wire, ipfi_give(wire, task->from));
    task_call(task, count_into, 0);
}

static void all_sent(Task *task, uint32_t code) {
    (void)task, (void)code;
}

static void drive_sum(uint32_t caller, Reader arguments) {
    int64_t n;
    if (!read_count(&arguments, &n)) {
        refuse(caller);
        return;
    }
    uint32_t sum = host("sum");
    Task *task = drive(caller);
    task->n = n;
    task->writable = send_numbers;
    task->stopped = all_sent;
    if (!(task->to = stream(task, IPFI_OUTGOING))) return;
    put_array(wire, 1);
    put_int(wire, ipfi_give(wire, task->to));
    if (task_call(task, sum, 0)) send_numbers(task);
}

// Items come back in order; `sum` counts them.
static void relay_readable(Task *task) {
    int32_t result;
    uint8_t bytes[16];
    while ((result = ipfi_read(wire, task->from)) == IPFI_OK) {
        int32_t length = ipfi_take_buffer(wire, bytes, sizeof bytes);
        Reader item = {bytes, bytes + length};
        int64_t n;
        if (!read_int(&item, &n) || n != task->sum) {
            task_fail(task, BAD_RESULT);
            return;
        }
        task->sum++;
    }
    if (result == IPFI_NONE) return;
    task->from = 0;
    uint32_t code = (uint32_t)ipfi_code(wire);
    if (code != 0) {
        pass_on();
        task_fail(task, code);
        return;
    }
    put_int(wire, task->sum);
    task_answer(task);
}

static void drive_relay(uint32_t caller, Reader arguments) {
    int64_t n;
    if (!read_count(&arguments, &n)) {
        refuse(caller);
        return;
    }
    uint32_t relay = host("relay");
    Task *task = drive(caller);
    task->n = n;
    task->answered = ignore;
    task->readable = relay_readable;
    task->writable = send_numbers;
    task->stopped = all_sent;
    if (!(task->to = stream(task, IPFI_OUTGOING)) || !(task->from = stream(task, IPFI_INCOMING))) return;
    put_array(wire, 2);
    put_int(wire, ipfi_give(wire, task->to));
    put_int(wire, ipfi_give(wire, task->from));
    if (task_call(task, relay, 0)) send_numbers(task);
}

static void drive_call_back(uint32_t caller, Reader arguments) {
    int64_t k;
    int32_t callback;
    if (!read_count(&arguments, &k)) {
        refuse(caller);
        return;
    }
    uint32_t call_back = host("call_back");
    Task *task = drive(caller);
    if ((callback = ipfi_callback(wire)) < 0) {
        task_fail(task, FAILED);
        return;
    }
    put_array(wire, 2);
    put_int(wire, ipfi_give(wire, (uint32_t)callback));
    put_int(wire, k);
    task_call(task, call_back, 0);
}

// `add` has answered: `hang` may be given up.
static void cancel_answered(Task *task, uint32_t call, Reader result) {
    (void)result;
    if (call == task->call) return;
    ipfi_cancel(wire, task->call, CANCELLED);
    task_forget_call(task->call);
    put_nil(wire);
    task_answer(task);
}

static void drive_cancel(uint32_t caller, Reader arguments) {
    (void)arguments;
    uint32_t hang = host("hang"), add = host("add");
    Task *task = drive(caller);
    task->answered = cancel_answered;
    put_nil(wire);
    if (!(task->call = task_call(task, hang, 0))) return;
    put_array(wire, 2);
    put_int(wire, 1);
    put_int(wire, 2);
    task_call(task, add, 0);
}

const Entry driven[] = {
    {"drive_echo", "(_) -> _", 1, drive_echo},
    {"drive_add", "(i64, i64) -> i64", 2, drive_add},
    {"drive_fail", "(u32, String) -> (u32, String, u8)", 2, drive_fail},
    {"drive_missing", "() -> u32", 0, drive_missing},
    {"drive_large", "(u32) -> u32", 1, drive_large},
    {"drive_many", "(i64) -> i64", 1, drive_many},
    {"drive_count", "(i64) -> i64", 1, drive_count},
    {"drive_count_into", "(i64) -> i64", 1, drive_count_into},
    {"drive_stop", "(i64) -> i64", 1, drive_stop},
    {"drive_sum", "(i64) -> i64", 1, drive_sum},
    {"drive_relay", "(i64) -> i64", 1, drive_relay},
    {"drive_call_back", "(i64) -> i64", 1, drive_call_back},
    {"drive_cancel", "()", 0, drive_cancel},
    {"drive_deadline", "(u32) -> u32", 1, drive_deadline},
    {0},
};
