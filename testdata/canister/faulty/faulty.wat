;; faulty: one method for every way in which a message can go wrong.
;;
;; What must leave nothing behind (memory, its size, globals), however much was written before:
;;   trap divide bounds indirect trap_text spin long_reply double_reply bad_utf8 bad_arg grow_then_trap write_all_then_trap
;;   global_then_trap recurse
;; What is an ordinary answer and keeps its changes:
;;   touch reject nan recurse_some no_reply
;; To look at what is there:
;;   canister_query state   replies 12 bytes, little-endian: the mark in memory (i32), the global (i32), memory.size (i32)
;;   canister_query trap_query   changes everything, then traps
(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))

  (memory 4)
  (table 2 funcref)
  (elem (i32.const 0) $mark)  ;; slot 1 stays empty
  (type $plain (func))
  (global $mark_global (mut i32) (i32.const 0))

  ;; Address 0: the mark. 16: 12 bytes of the state reply. 32: texts. 4096: floats. 65536 and up: scratch.
  (data (i32.const 32) "done")
  (data (i32.const 48) "rejected on purpose")
  (data (i32.const 80) "trapped on purpose")
  (data (i32.const 112) "\ff\fe\fd")

  ;; Changes the mark in memory, the global, and a byte in each of many pages.
  (func $mark
    (local $at i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (global.set $mark_global (i32.add (global.get $mark_global) (i32.const 1)))
    (local.set $at (i32.const 65536))
    (loop $page
      (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1)))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $page (i32.lt_u (local.get $at) (i32.const 262144)))))

  (func $done
    (call $append (i32.const 32) (i32.const 4))
    (call $reply))

  (func (export "canister_init"))

  (func (export "canister_update touch")
    (call $mark)
    (call $done))

  (func (export "canister_query state")
    (i32.store (i32.const 16) (i32.load (i32.const 0)))
    (i32.store (i32.const 20) (global.get $mark_global))
    (i32.store (i32.const 24) (memory.size))
    (call $append (i32.const 16) (i32.const 12))
    (call $reply))

  (func (export "canister_query trap_query")
    (call $mark)
    (drop (memory.grow (i32.const 1)))
    unreachable)

  ;; The traps of the machine.

  (func (export "canister_update trap")
    (call $mark)
    unreachable)

  (func (export "canister_update divide")
    (call $mark)
    (drop (i32.div_u (i32.const 1) (i32.load (i32.const 8)))))

  (func (export "canister_update bounds")
    (call $mark)
    (i32.store (i32.const -8) (i32.const 1)))

  (func (export "canister_update indirect")
    (call_indirect (type $plain) (i32.const 0))
    (call_indirect (type $plain) (i32.const 1)))

  ;; Runs until the fuel is gone, writing all the while.
  (func (export "canister_update spin")
    (call $mark)
    (loop $forever
      (i32.store (i32.const 8192) (i32.add (i32.load (i32.const 8192)) (i32.const 1)))
      (br $forever)))

  ;; Recursion without end; the local keeps a frame from being trivial.
  (func $down (param $depth i64) (result i64)
    (if (i64.eqz (local.get $depth)) (then (return (i64.const 0))))
    (i64.add (i64.const 1) (call $down (i64.sub (local.get $depth) (i64.const 1)))))

  (func (export "canister_update recurse")
    (call $mark)
    (drop (call $down (i64.const -1))))

  ;; A thousand calls deep is nothing unusual.
  (func (export "canister_update recurse_some")
    (call $mark)
    (i64.store (i32.const 8) (call $down (i64.const 1000)))
    (i64.store (i32.const 8) (i64.const 0))
    (call $done))

  ;; The traps of the System API.

  (func (export "canister_update trap_text")
    (call $mark)
    (call $trap (i32.const 80) (i32.const 18)))

  ;; Appends 64 KiB at a time, 256 MiB in all: too long by any limit.
  (func (export "canister_update long_reply")
    (local $times i32)
    (call $mark)
    (local.set $times (i32.const 4096))
    (loop $more
      (call $append (i32.const 65536) (i32.const 65536))
      (local.set $times (i32.sub (local.get $times) (i32.const 1)))
      (br_if $more (local.get $times)))
    (call $reply))

  (func (export "canister_update double_reply")
    (call $mark)
    (call $done)
    (call $reply))

  ;; A reject's text must be UTF-8.
  (func (export "canister_update bad_utf8")
    (call $mark)
    (call $reject (i32.const 112) (i32.const 3)))

  ;; Asks for one byte more than the argument has.
  (func (export "canister_update bad_arg")
    (call $mark)
    (call $arg_copy (i32.const 65536) (i32.const 0) (i32.add (call $arg_size) (i32.const 1)))
    (call $done))

  ;; Damage that a host must undo.

  (func (export "canister_update grow_then_trap")
    (local $old i32)
    (call $mark)
    (local.set $old (memory.grow (i32.const 16)))
    (i32.store (i32.mul (local.get $old) (i32.const 65536)) (i32.const 1))
    unreachable)

  (func (export "canister_update write_all_then_trap")
    (memory.fill (i32.const 0) (i32.const 0xa5) (i32.mul (memory.size) (i32.const 65536)))
    (global.set $mark_global (i32.const -1))
    unreachable)

  (func (export "canister_update global_then_trap")
    (global.set $mark_global (i32.const 12345))
    unreachable)

  ;; Ordinary answers.

  (func (export "canister_update reject")
    (call $mark)
    (call $reject (i32.const 48) (i32.const 19)))

  ;; Returns without an answer.
  (func (export "canister_update no_reply")
    (call $mark)
    (call $append (i32.const 32) (i32.const 4))
    (call $print (i32.const 32) (i32.const 4)))

  ;; Stores the results of operations whose NaN's bits the Wasm standard leaves open, and replies them (36 bytes).
  (func (export "canister_update nan")
    (call $mark)
    (f32.store (i32.const 4096) (f32.div (f32.load (i32.const 4200)) (f32.load (i32.const 4200))))
    (f32.store (i32.const 4100) (f32.sqrt (f32.const -1)))
    (f32.store (i32.const 4104) (f32.add (f32.const nan:0x200001) (f32.const 1)))
    (f64.store (i32.const 4108) (f64.sub (f64.const inf) (f64.const inf)))
    (f64.store (i32.const 4116) (f64.mul (f64.const -nan:0x8000000000123) (f64.const 2)))
    (f64.store (i32.const 4124) (f64.promote_f32 (f32.const -nan:0x12345)))
    (call $append (i32.const 4096) (i32.const 36))
    (call $reply)))
