;; A cost that does not fit into memory: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "cost_call" (func $cost_call (param i64 i64 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $cost_call (i64.const 4) (i64.const 100) (i32.const 65521))))
