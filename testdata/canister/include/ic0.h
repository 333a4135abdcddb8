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

// INIT, UPDATE(name) and QUERY(name) begin the definition of an entry point: UPDATE(put) { ... }
#define EXPORT(text) __attribute__((export_name(text)))
#define INIT EXPORT("canister_init") void canister_init(void)
#define UPDATE(name) EXPORT("canister_update " #name) void update_##name(void)
#define QUERY(name) EXPORT("canister_query " #name) void query_##name(void)

#endif
