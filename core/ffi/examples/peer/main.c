// The loop: bytes, events, tasks.

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

uint32_t wire;

static Task *tasks;
static int status = 0;

// Calls of ours that are open, and whose they are.
static struct { uint32_t call; Task *task; } *calls;
static size_t calls_length, calls_room;

static void *must(void *memory) {
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

Task *task_new(uint32_t caller) {
    Task *task = must(calloc(1, sizeof *task));
    task->caller = caller;
    task->next = tasks;
    tasks = task;
    return task;
}

void task_forget_call(uint32_t call) {
    for (size_t i = 0; i < calls_length; i++) {
        if (calls[i].call != call) continue;
        calls[i].task->calls_open--;
        calls[i] = calls[--calls_length];
        return;
    }
}

void task_end(Task *task) {
    for (size_t i = calls_length; task->calls_open > 0 && i-- > 0;) {
        if (calls[i].task != task) continue;
        uint32_t call = calls[i].call;
        task_forget_call(call);
        ipfi_cancel(wire, call, CANCELLED);
    }
    if (task->from) ipfi_stop(wire, task->from, CANCELLED);
    if (task->to) ipfi_let_go(wire, task->to, CANCELLED);
    if (task->callback) ipfi_let_go(wire, task->callback, 0);
    for (Task **at = &tasks; *at; at = &(*at)->next) {
        if (*at != task) continue;
        *at = task->next;
        break;
    }
    free(task->held);
    free(task);
}

void task_answer(Task *task) {
    ipfi_answer(wire, task->caller);
    task_end(task);
}

void task_fail(Task *task, uint32_t code) {
    if (task->caller) ipfi_fail(wire, task->caller, code, 1);
    else ipfi_clear(wire);
    task_end(task);
}

uint32_t task_call(Task *task, uint32_t what, uint32_t deadline) {
    int32_t call = ipfi_call(wire, what, deadline, 0);
    if (call < 0) {
        // What was put as arguments is gone.
        task_fail(task, call == IPFI_TOO_LARGE ? TOO_LARGE : FAILED);
        return 0;
    }
    if (calls_length == calls_room) {
        calls_room = calls_room ? 2 * calls_room : 16;
        calls = must(realloc(calls, calls_room * sizeof *calls));
    }
    calls[calls_length].call = (uint32_t)call;
    calls[calls_length++].task = task;
    task->calls_open++;
    return (uint32_t)call;
}

uint32_t host(const char *name) {
    // Each is bound once.
    static struct { const char *name; uint32_t number; } known[16];
    size_t i = 0;
    while (known[i].name && strcmp(known[i].name, name) != 0) i++;
    if (!known[i].name) {
        ipfi_put_buffer(wire, (const uint8_t *)name, (uint32_t)strlen(name));
        known[i].name = name;
        known[i].number = (uint32_t)ipfi_bind(wire, 0, 0);
    }
    return known[i].number;
}

void pass_on(void) {
    uint8_t bytes[4096];
    int32_t n;
    while ((n = ipfi_take_buffer(wire, bytes, sizeof bytes)) > 0) ipfi_put_buffer(wire, bytes, (uint32_t)n);
}

void send_numbers(Task *task) {
    while (task->i < task->n) {
        put_int(wire, task->i);
        if (ipfi_item(wire, task->to) != IPFI_OK) {
            ipfi_clear(wire);
            return;
        }
        task->i++;
    }
    ipfi_finish(wire, task->to);
}

static uint8_t *came;

// The payload of the current event, in memory that stays until the next event.
static Reader payload(void) {
    uint32_t length = (uint32_t)ipfi_length(wire);
    came = must(realloc(came, length + 1));
    ipfi_take_buffer(wire, came, length);
    return (Reader){came, came + length};
}

void refuse(uint32_t caller) {
    ipfi_clear(wire);
    ipfi_fail(wire, caller, BAD_ARGUMENTS, 0);
}

// Whether arguments are what they have to be: so many values, and nothing behind them.
static bool are_arguments(Reader from, int wanted, Reader *first) {
    uint32_t items;
    if (wanted == 0 && from.end - from.at == 1 && *from.at == 0xc0) return true;
    if (!read_array(&from, &items) || items != (uint32_t)wanted) return false;
    *first = from;
    while (items-- > 0) {
        if (!read_any(&from)) return false;
    }
    return from.at == from.end;
}

static const Entry *entry(int32_t id) {
    return id < 100 ? &served[id] : &driven[id - 100];
}

static void on_call(void) {
    const Entry *called = entry(ipfi_procedure(wire));
    uint32_t caller = (uint32_t)ipfi_subject(wire);
    Reader arguments = payload();
    Reader first = arguments;
    if (are_arguments(arguments, called->arguments, &first)) called->run(caller, first);
    else refuse(caller);
}

// The host calls back: (i) -> 2i.
static void on_callback(void) {
    uint32_t caller = (uint32_t)ipfi_subject(wire);
    Reader first = payload();
    int64_t i;
    if (!are_arguments(first, 1, &first) || !read_int(&first, &i)) {
        refuse(caller);
        return;
    }
    put_int(wire, 2 * i);
    ipfi_answer(wire, caller);
}

static Task *owner(uint32_t call) {
    for (size_t i = 0; i < calls_length; i++) {
        if (calls[i].call == call) return calls[i].task;
    }
    return NULL;
}

static void on_event(int32_t event) {
    uint32_t subject = (uint32_t)ipfi_subject(wire), code = (uint32_t)ipfi_code(wire);
    Task *task = tasks;
    switch (event) {
    case IPFI_EVENT_CALL:
        on_call();
        break;
    case IPFI_EVENT_CALLBACK:
        on_callback();
        break;
    case IPFI_EVENT_CANCELLED:
        while (task && task->caller != subject) task = task->next;
        if (!task) break;
        hangs_cancelled += task->hangs;
        task_fail(task, code);
        break;
    case IPFI_EVENT_ANSWER:
        if (!(task = owner(subject))) break;
        task_forget_call(subject);
        task->answered(task, subject, payload());
        break;
    case IPFI_EVENT_FAILED:
        if (!(task = owner(subject))) break;
        task_forget_call(subject);
        if (task->failed) {
            task->failed(task, subject, code);
        } else {
            pass_on();
            task_fail(task, code);
        }
        break;
    case IPFI_EVENT_READABLE:
        while (task && task->from != subject) task = task->next;
        if (task) task->readable(task);
        break;
    case IPFI_EVENT_WRITABLE:
        while (task && task->to != subject) task = task->next;
        if (task) task->writable(task);
        break;
    case IPFI_EVENT_STOPPED:
        while (task && task->to != subject) task = task->next;
        if (!task) break;
        task->to = 0;
        task->stopped(task, code);
        break;
    case IPFI_EVENT_CLOSED:
        status = ipfi_started(wire);
        if (status) {
            uint8_t text[256];
            int32_t n = ipfi_take_buffer(wire, text, sizeof text);
            fprintf(stderr, "the host broke the protocol: %.*s\n", (int)n, (const char *)text);
        }
        break;
    }
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

// Offers a table of procedures, numbered from `id` on.
static void offer(const Entry *entries, uint32_t id) {
    for (; entries->name; entries++) {
        ipfi_put_buffer(wire, (const uint8_t *)entries->name, (uint32_t)strlen(entries->name));
        ipfi_offer(wire, id++, 0, 0);
    }
}

int main(void) {
    wire = ipfi_open();
    offer(served, 0);
    offer(driven, 100);
    // A host that is gone is found out by writing.
    signal(SIGPIPE, SIG_IGN);
    // A host that does not read must not keep us from reading.
    fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
    uint8_t in[4096], out[4096];
    int32_t out_length = 0, out_at = 0;
    uint64_t before = now();
    bool ended = false;
    for (;;) {
        int32_t event;
        while ((event = ipfi_event(wire)) > 0) on_event(event);
        if (out_at == out_length) {
            out_at = 0;
            out_length = ipfi_transmit_buffer(wire, out, sizeof out);
            // The last frame of a wire that closes makes an event.
            if (out_length == 0 && ipfi_is_closed(wire)) {
                while ((event = ipfi_event(wire)) > 0) on_event(event);
                break;
            }
        }
        struct pollfd files[] = {
            {.fd = ended ? -1 : STDIN_FILENO, .events = POLLIN},
            {.fd = out_length > out_at ? STDOUT_FILENO : -1, .events = POLLOUT},
        };
        if (poll(files, 2, ipfi_timeout(wire)) < 0 && errno != EINTR) break;
        if (files[1].revents) {
            ssize_t n = write(STDOUT_FILENO, out + out_at, (size_t)(out_length - out_at));
            if (n < 0 && errno != EAGAIN && errno != EINTR) break;
            if (n > 0) out_at += (int32_t)n;
        }
        if (files[0].revents) {
            ssize_t n = read(STDIN_FILENO, in, sizeof in);
            ended = n <= 0;
            if (ended) ipfi_receive_end(wire);
            else ipfi_receive_buffer(wire, in, (uint32_t)n);
        }
        uint64_t time = now();
        uint32_t elapsed = time - before > UINT32_MAX ? UINT32_MAX : (uint32_t)(time - before);
        ipfi_elapse(wire, elapsed);
        before += elapsed;
    }
    while (tasks) task_end(tasks);
    free(calls);
    free(came);
    ipfi_free(wire);
    return status;
}
