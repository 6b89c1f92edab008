// A peer in C: it serves and calls over standard input and output what tests/peers/README.md says.

#ifndef PEER_H
#define PEER_H

#include "ipfi.h"
#include "value.h"

// Codes of the specification, section 9.
enum { CANCELLED = 1, BAD_ARGUMENTS = 9, BAD_RESULT = 10, TOO_LARGE = 12, FAILED = 14 };

typedef struct Task Task;

// A procedure that runs until something happens. 0 stands for what it does not have.
struct Task {
    // What it is told: of its own calls, of its streams, and that its caller gave up. NULL for what
    // it does not want to know.
    void (*answered)(Task *, uint32_t call, Reader result);
    void (*failed)(Task *, uint32_t call, uint32_t code);
    void (*readable)(Task *);
    void (*writable)(Task *);
    void (*stopped)(Task *, uint32_t code);
    // The call that it answers; its own call, if there is just one; streams; callbacks of either side.
    uint32_t caller, call, from, to, callback;
    // How much it has to do, and how far it is.
    int64_t n, i, sum;
    // An item that was read and could not be sent yet.
    uint8_t *held;
    uint32_t held_length;
    uint32_t calls_open;
    bool hangs;
    Task *next;
};

extern uint32_t wire;
extern uint32_t hangs_cancelled;

// Begins a task that answers `caller`.
Task *task_new(uint32_t caller);
// The end of a task: whatever it still has is let go.
void task_end(Task *task);
// Ends a task with the result that was put.
void task_answer(Task *task);
// Ends a task with a failure; the text was put.
void task_fail(Task *task, uint32_t code);
// The number of a procedure of the host; to be asked for before arguments are put.
uint32_t host(const char *name);
// Calls it for a task with what was put and given. 0 if that is impossible: then the task has failed.
uint32_t task_call(Task *task, uint32_t what, uint32_t deadline);
// Forgets that a call belongs to a task.
void task_forget_call(uint32_t call);

// Moves what is left of the current payload into the next command: for texts and values that pass through.
void pass_on(void);
// Sends t->i ... t->n - 1 on t->to, as far as there is room, then finishes it.
void send_numbers(Task *task);

// One for each procedure. The arguments were checked to be an array of so many.
typedef void Procedure(uint32_t caller, Reader arguments);
typedef struct {
    const char *name, *signature;
    int arguments;
    Procedure *run;
} Entry;

extern const Entry served[], driven[];
void refuse(uint32_t caller);
void describe(uint32_t caller, Reader arguments);

#endif
