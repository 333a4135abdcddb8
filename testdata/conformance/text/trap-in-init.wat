;; A trap in canister_init leaves no canister behind.
;;
;; call: install ; expect: trap "hello"
(module
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_init")
    (call $trap (i32.const 100) (i32.const 5))))
