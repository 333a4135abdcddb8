;; A performance counter that does not exist: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "performance_counter" (func $performance_counter (param i32) (result i64)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $performance_counter (i32.const 2)))))
