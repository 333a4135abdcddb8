;; A name that is not UTF-8: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "env_var_name_exists" (func $env_var_name_exists (param i32 i32) (result i32)))
  (memory 1)
  (data (i32.const 100) "\c3\28")
  (func (export "canister_update t")
    (drop (call $env_var_name_exists (i32.const 100) (i32.const 2)))))
