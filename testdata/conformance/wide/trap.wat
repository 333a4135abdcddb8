;; trap takes any address and size, and traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "trap" (func $trap (param i64 i64)))
  (memory i64 1)
  (func (export "canister_update t")
    (call $trap (i64.const -1) (i64.const -1))))
