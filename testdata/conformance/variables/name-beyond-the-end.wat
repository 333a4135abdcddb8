;; The name of a variable beyond the last: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "env_var_name_size" (func $env_var_name_size (param i32) (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $env_var_name_size (i32.const 0)))))
