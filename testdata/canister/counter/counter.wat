;; counter: the smallest canister with state of both kinds, a private mutable global and a memory cell.
;;
;;   canister_update increment   adds one; replies the new count in decimal
;;   canister_query  get         replies the count
;;   canister_query  last        replies the time of the last increment, in nanoseconds since 1970
;;
;; The count lives in a global that is not exported: a host that carries over memory alone would forget it, and would go on
;; answering all the same.
(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "time" (func $time (result i64)))

  (memory 1)
  (global $count (mut i64) (i64.const 0))
  ;; Address 0: time of the last increment, 8 bytes. Addresses 64 to 83: room for the digits of a reply.

  (func (export "canister_update increment")
    (global.set $count (i64.add (global.get $count) (i64.const 1)))
    (i64.store (i32.const 0) (call $time))
    (call $answer (global.get $count)))

  (func (export "canister_query get")
    (call $answer (global.get $count)))

  (func (export "canister_query last")
    (call $answer (i64.load (i32.const 0))))

  ;; Replies the number, its digits written from the last to the first.
  (func $answer (param $number i64)
    (local $first i32)
    (local.set $first (i32.const 84))
    (loop $digit
      (local.set $first (i32.sub (local.get $first) (i32.const 1)))
      (i64.store8 (local.get $first)
        (i64.add (i64.const 48) (i64.rem_u (local.get $number) (i64.const 10))))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $number) (i64.const 0))))
    (call $append (local.get $first) (i32.sub (i32.const 84) (local.get $first)))
    (call $reply)))
