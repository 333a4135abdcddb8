;; A query that is not replicated cannot burn cycles: traps.
;;
;; call: query t ; expect: trap
(module
  (import "ic0" "cycles_burn128" (func $cycles_burn128 (param i64 i64 i32)))
  (memory 1)
  (func (export "canister_query t")
    (call $cycles_burn128 (i64.const 0) (i64.const 1) (i32.const 0))))
