#include "call.h"

#include <string.h>

#include "_cgo_export.h"

typedef struct { size_t size; char *data; } byte_vec;

typedef void *(*unchecked_callback)(void *env, void *caller, lockstep_raw *args, size_t len);

extern void *wasmtime_linker_define_func_unchecked(void *linker, const char *module, size_t module_len, const char *name,
		size_t name_len, const void *type, unchecked_callback call, void *env, void (*finalizer)(void *));
extern void *wasmtime_func_call_unchecked(void *ctx, const lockstep_func *f, lockstep_raw *args, size_t len, void **trap);
extern void *wasmtime_context_set_fuel(void *ctx, uint64_t fuel);
extern void *wasmtime_context_get_fuel(void *ctx, uint64_t *fuel);
extern size_t wasmtime_memory_data_size(const void *ctx, const lockstep_memory *m);
extern uint8_t *wasmtime_memory_data(const void *ctx, const lockstep_memory *m);
extern void *wasmtime_trap_new(const char *msg, size_t len);
extern _Bool wasmtime_trap_code(const void *trap, uint8_t *code);
extern void wasm_trap_delete(void *trap);
extern void wasmtime_error_message(const void *err, byte_vec *msg);
extern void wasmtime_error_delete(void *err);
extern void wasm_byte_vec_delete(byte_vec *);

// The run that this thread is in. Execution does not change threads between
// lockstep_call and the host calls that come out of it.
static __thread lockstep_run *current;

void lockstep_look(lockstep_run *run) {
	if (run->has_memory) {
		run->size = wasmtime_memory_data_size(run->context, &run->memory);
		run->base = wasmtime_memory_data(run->context, &run->memory);
	}
}

static int failed(lockstep_run *run, void *err) {
	byte_vec msg;
	wasmtime_error_message(err, &msg);
	size_t n = msg.size < sizeof run->message - 1 ? msg.size : sizeof run->message - 1;
	memcpy(run->message, msg.data, n);
	run->message[n] = 0;
	wasm_byte_vec_delete(&msg);
	wasmtime_error_delete(err);
	return LOCKSTEP_FAILED;
}

int lockstep_call(lockstep_run *run) {
	lockstep_raw args[2];
	void *trap = NULL, *err = wasmtime_context_set_fuel(run->context, run->fuel);
	strcpy(run->message, "a trap without a code");
	if (err)
		return failed(run, err);
	lockstep_run *outer = current;
	current = run;
	run->stopped = 0;
	for (int i = 0; i < run->nargs; i++)
		args[i].word = run->args[i];
	err = wasmtime_func_call_unchecked(run->context, &run->func, args, 2, &trap);
	current = outer;
	lockstep_look(run);
	int end = LOCKSTEP_RETURNED;
	if (run->stopped) { // what host_call returned comes out as an error without a code
		end = LOCKSTEP_STOPPED;
		if (err)
			wasmtime_error_delete(err);
		err = NULL;
	}
	if (trap) {
		if (end == LOCKSTEP_RETURNED)
			end = wasmtime_trap_code(trap, &run->trap) ? LOCKSTEP_TRAPPED : LOCKSTEP_FAILED;
		wasm_trap_delete(trap);
	}
	if (!err)
		err = wasmtime_context_get_fuel(run->context, &run->fuel);
	return err ? failed(run, err) : end;
}

// A host function: env is its index in its table, doubled, and 1 for the table
// of modules with a 64-bit memory.
static void *host_call(void *env, void *caller, lockstep_raw *args, size_t len) {
	lockstep_run *run = current;
	uint64_t before;
	void *err = wasmtime_context_get_fuel(run->context, &run->fuel);
	before = run->fuel;
	lockstep_look(run);
	int stop = lockstepHostCall(run->host, (uintptr_t)env, args);
	if (!err && run->fuel != before)
		err = wasmtime_context_set_fuel(run->context, run->fuel);
	if (err) { // fuel is always on: the engine is not what it was set up to be
		wasmtime_error_delete(err);
		stop = 1;
	}
	(void)caller, (void)len;
	run->stopped = stop;
	return stop ? wasmtime_trap_new("stopped", 7) : NULL;
}

// Gives 0, or -1 if the engine refuses.
int lockstep_define(void *linker, const char *module, size_t module_len, const char *name, size_t name_len,
		const void *type, uintptr_t index) {
	void *err = wasmtime_linker_define_func_unchecked(linker, module, module_len, name, name_len, type, host_call,
			(void *)index, NULL);
	if (err)
		wasmtime_error_delete(err);
	return err ? -1 : 0;
}
