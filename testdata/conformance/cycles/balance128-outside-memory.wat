;; canister_cycle_balance128 writes 16 bytes; if they do not all lie in memory it traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "canister_cycle_balance128" (func $canister_cycle_balance128 (param i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $canister_cycle_balance128 (i32.const 65521))))
