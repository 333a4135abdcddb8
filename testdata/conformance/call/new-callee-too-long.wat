;; A principal has at most 29 bytes: 30 trap.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
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
    (call $call_new (i32.const 200) (i32.const 30) (i32.const 100) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))))
