;; A second cleanup callback for one call: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "canister_self_size" (func $canister_self_size (result i32)))
  (import "ic0" "canister_self_copy" (func $canister_self_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_on_cleanup" (func $call_on_cleanup (param i32 i32)))
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
    (call $self_call (i32.const 100) (i32.const 4))
    (call $call_on_cleanup (i32.const 2) (i32.const 0))
    (call $call_on_cleanup (i32.const 2) (i32.const 0)))
  (func $self_call (param $name i32) (param $size i32) ;; begins a call of this canister's method
    (call $canister_self_copy (i32.const 512) (i32.const 0) (call $canister_self_size))
    (call $call_new (i32.const 512) (call $canister_self_size) (local.get $name) (local.get $size)
      (i32.const 0) (i32.const 11) (i32.const 1) (i32.const 22))))
