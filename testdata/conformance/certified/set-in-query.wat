;; A query may not certify: traps, also when it runs replicated.
;;
;; call: query t ; expect: trap
;; call: update t ; expect: trap
(module
  (import "ic0" "certified_data_set" (func $certified_data_set (param i32 i32)))
  (memory 1)
  (func (export "canister_query t")
    (call $certified_data_set (i32.const 0) (i32.const 1))))
