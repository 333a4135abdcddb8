;; A canister that does what it is told: the argument of "run" is a script, and so is what its callbacks get as environment.
;; puppet_test.go writes scripts and lists the steps.
(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_size" (func $caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $caller_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
  (import "ic0" "canister_version" (func $version (result i64)))
  (import "ic0" "global_timer_set" (func $timer_set (param i64) (result i64)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "msg_deadline" (func $deadline (result i64)))
  (import "ic0" "performance_counter" (func $spent (param i32) (result i64)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_append (param i32 i32)))
  (import "ic0" "call_on_cleanup" (func $call_on_cleanup (param i32 i32)))
  (import "ic0" "call_with_best_effort_response" (func $best_effort (param i32)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (memory 2)
  (table 1 funcref)
  (elem (i32.const 0) $callback)

  ;; 0: the counter, 8 bytes. 8: scratch, 8 bytes. From 64 KiB on: what $alloc gives.
  (global $free (mut i32) (i32.const 65536))
  (global $ip (mut i32) (i32.const 0))
  (global $len (mut i32) (i32.const 0))
  (global $timeout (mut i32) (i32.const 0)) ;; of the calls that follow, in seconds; 0 for none

  (func $alloc (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.add (local.get $at) (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -8))))
    (block $enough
      (loop $grow
        (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (br $grow)))
    (local.get $at))

  (func $u16 (result i32)
    (global.set $ip (i32.add (global.get $ip) (i32.const 2)))
    (i32.load16_u (i32.sub (global.get $ip) (i32.const 2))))

  ;; A string of the script: gives where it is and sets $len.
  (func $string (result i32)
    (global.set $len (call $u16))
    (global.set $ip (i32.add (global.get $ip) (global.get $len)))
    (i32.sub (global.get $ip) (global.get $len)))

  ;; A string of the script, kept beyond this execution: gives the environment of a callback, 0 for an empty one.
  (func $keep (result i32)
    (local $from i32) (local $to i32)
    (local.set $from (call $string))
    (if (i32.eqz (global.get $len)) (then (return (i32.const 0))))
    (local.set $to (call $alloc (i32.add (global.get $len) (i32.const 4))))
    (i32.store (local.get $to) (global.get $len))
    (memory.copy (i32.add (local.get $to) (i32.const 4)) (local.get $from) (global.get $len))
    (local.get $to))

  (func $count (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1))))

  (func $answer (param $value i64)
    (i64.store (i32.const 8) (local.get $value))
    (call $append (i32.const 8) (i32.const 8))
    (call $reply))

  (func $step_call
    (local $callee i32) (local $callee_len i32) (local $method i32) (local $method_len i32)
    (local $arg i32) (local $arg_len i32) (local $on_reply i32) (local $on_reject i32) (local $on_cleanup i32)
    (local.set $callee (call $string)) (local.set $callee_len (global.get $len))
    (local.set $method (call $string)) (local.set $method_len (global.get $len))
    (local.set $arg (call $string)) (local.set $arg_len (global.get $len))
    (local.set $on_reply (call $keep))
    (local.set $on_reject (call $keep))
    (local.set $on_cleanup (call $keep))
    (call $call_new (local.get $callee) (local.get $callee_len) (local.get $method) (local.get $method_len)
      (i32.const 0) (local.get $on_reply) (i32.const 0) (local.get $on_reject))
    (call $call_append (local.get $arg) (local.get $arg_len))
    (if (local.get $on_cleanup) (then (call $call_on_cleanup (i32.const 0) (local.get $on_cleanup))))
    (if (global.get $timeout) (then (call $best_effort (global.get $timeout))))
    (if (call $call_perform) (then (call $count)))) ;; one that cannot be made is counted

  (func $run (param $at i32) (param $end i32)
    (local $op i32) (local $p i32)
    (global.set $ip (local.get $at))
    (loop $next
      (if (i32.ge_u (global.get $ip) (local.get $end)) (then (return)))
      (local.set $op (i32.load8_u (global.get $ip)))
      (global.set $ip (i32.add (global.get $ip) (i32.const 1)))
      (if (i32.eq (local.get $op) (i32.const 0x2b)) (then ;; + counts
        (call $count)))
      (if (i32.eq (local.get $op) (i32.const 0x62)) (then ;; b sets the timeout of calls
        (global.set $timeout (call $u16))))
      (if (i32.eq (local.get $op) (i32.const 0x72)) (then ;; r replies a string
        (local.set $p (call $string))
        (call $append (local.get $p) (global.get $len))
        (call $reply)))
      (if (i32.eq (local.get $op) (i32.const 0x6a)) (then ;; j rejects with a string
        (local.set $p (call $string))
        (call $reject (local.get $p) (global.get $len))))
      (if (i32.eq (local.get $op) (i32.const 0x65)) (then ;; e replies the argument
        (local.set $p (call $alloc (call $arg_size)))
        (call $arg_copy (local.get $p) (i32.const 0) (call $arg_size))
        (call $append (local.get $p) (call $arg_size))
        (call $reply)))
      (if (i32.eq (local.get $op) (i32.const 0x77)) (then ;; w replies the caller
        (local.set $p (call $alloc (call $caller_size)))
        (call $caller_copy (local.get $p) (i32.const 0) (call $caller_size))
        (call $append (local.get $p) (call $caller_size))
        (call $reply)))
      (if (i32.eq (local.get $op) (i32.const 0x6e)) (then ;; n replies the counter
        (call $answer (i64.load (i32.const 0)))))
      (if (i32.eq (local.get $op) (i32.const 0x6b)) (then ;; k replies the reject code
        (call $answer (i64.extend_i32_u (call $reject_code)))))
      (if (i32.eq (local.get $op) (i32.const 0x76)) (then ;; v replies the version
        (call $answer (call $version))))
      (if (i32.eq (local.get $op) (i32.const 0x43)) (then ;; C certifies a string
        (local.set $p (call $string))
        (call $certify (local.get $p) (global.get $len))))
      (if (i32.eq (local.get $op) (i32.const 0x64)) (then ;; d replies the deadline
        (call $answer (call $deadline))))
      (if (i32.eq (local.get $op) (i32.const 0x70)) (then ;; p replies the fuel of the whole call so far
        (call $answer (call $spent (i32.const 1)))))
      (if (i32.eq (local.get $op) (i32.const 0x74)) (then unreachable)) ;; t traps
      (if (i32.eq (local.get $op) (i32.const 0x54)) (then ;; T sets the timer
        (drop (call $timer_set (i64.load (global.get $ip))))
        (global.set $ip (i32.add (global.get $ip) (i32.const 8)))))
      (if (i32.eq (local.get $op) (i32.const 0x63)) (then (call $step_call))) ;; c calls
      (br $next)))

  (func $callback (param $env i32)
    (if (local.get $env) (then
      (call $run (i32.add (local.get $env) (i32.const 4))
        (i32.add (i32.add (local.get $env) (i32.const 4)) (i32.load (local.get $env)))))))

  (func (export "canister_update run")
    (local $at i32)
    (local.set $at (call $alloc (call $arg_size)))
    (call $arg_copy (local.get $at) (i32.const 0) (call $arg_size))
    (call $run (local.get $at) (i32.add (local.get $at) (call $arg_size))))
  (func (export "canister_query count") (call $answer (i64.load (i32.const 0))))

  ;; A timer that goes off counts a hundred.
  (func (export "canister_global_timer")
    (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 100))))
  ;; more
)
