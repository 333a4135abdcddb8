;; The value of a variable that does not exist: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "env_var_value_size" (func $env_var_value_size (param i32 i32) (result i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (drop (call $env_var_value_size (i32.const 100) (i32.const 5)))))
