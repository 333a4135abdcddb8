// ic0.h: the calls of the Internet Computer's System API (32-bit memories) that the C canisters use, and the
// attribute that exports a method under the name that a canister's host looks for.
//
// Nothing here needs a C library: the canisters are built freestanding.
#ifndef IC0_H
#define IC0_H

#include <stddef.h>
#include <stdint.h>

#define IC0(name) __attribute__((import_module("ic0"), import_name(#name))) extern

IC0(msg_arg_data_size) uint32_t ic0_msg_arg_data_size(void);
IC0(msg_arg_data_copy) void ic0_msg_arg_data_copy(void *to, uint32_t offset, uint32_t size);
IC0(msg_reply_data_append) void ic0_msg_reply_data_append(const void *data, uint32_t size);
IC0(msg_reply) void ic0_msg_reply(void);
IC0(msg_reject) void ic0_msg_reject(const char *text, uint32_t size);
IC0(trap) __attribute__((noreturn)) void ic0_trap(const char *text, uint32_t size);
IC0(debug_print) void ic0_debug_print(const char *text, uint32_t size);
IC0(time) int64_t ic0_time(void);
IC0(canister_self_copy) void ic0_canister_self_copy(void *to, uint32_t offset, uint32_t size);
IC0(global_timer_set) int64_t ic0_global_timer_set(int64_t time);
IC0(stable64_grow) int64_t ic0_stable64_grow(int64_t pages);
IC0(stable64_read) void ic0_stable64_read(uint64_t to, uint64_t offset, uint64_t size);
IC0(stable64_write) void ic0_stable64_write(uint64_t offset, uint64_t from, uint64_t size);

// A callback's number is its place in the function table, which is what a C function pointer is.
typedef void (*callback)(uint32_t env);

IC0(call_new) void ic0_call_new(const void *callee, uint32_t callee_size, const char *method, uint32_t method_size,
                                callback on_reply, uint32_t reply_env, callback on_reject, uint32_t reject_env);
IC0(call_on_cleanup) void ic0_call_on_cleanup(callback on_cleanup, uint32_t env);
IC0(call_data_append) void ic0_call_data_append(const void *data, uint32_t size);
IC0(call_perform) uint32_t ic0_call_perform(void);

// ENTRY(name) is an entry point without a method's name; INIT, UPDATE(name) and QUERY(name) begin the definition of an entry point: UPDATE(put) { ... }
#define EXPORT(text) __attribute__((export_name(text)))
#define ENTRY(name) EXPORT("canister_" #name) void canister_##name(void)
#define INIT ENTRY(init)
#define UPDATE(name) EXPORT("canister_update " #name) void update_##name(void)
#define QUERY(name) EXPORT("canister_query " #name) void query_##name(void)

#endif
