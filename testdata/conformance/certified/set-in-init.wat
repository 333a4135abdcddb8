;; canister_init may certify.
;;
;; call: install ; expect: ok
(module
  (import "ic0" "certified_data_set" (func $certified_data_set (param i32 i32)))
  (memory 1)
  (func (export "canister_init")
    (call $certified_data_set (i32.const 0) (i32.const 1))))
