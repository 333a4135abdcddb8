;; Without a call under construction: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "call_cycles_add" (func $call_cycles_add (param i64)))
  (table 4 funcref)
  (elem (i32.const 0) $on_reply $on_reject $on_cleanup)
  (memory 1)
  (data (i32.const 100) "echo")
  (data (i32.const 110) "refuse")
  (data (i32.const 120) "break")
  (data (i32.const 130) "missing")
  (data (i32.const 140) "look")
  (func $on_reply (param i32))
  (func $on_reject (param i32))
  (func $on_cleanup (param i32))
  (func (export "canister_update t")
    (call $call_cycles_add (i64.const 0))))
