;; A branch to a label beyond the function is refused, also in a function whose body preparation wraps.
;;
;; call: install ; expect: refused
(module
  (func $f)
  (func (export "canister_update t")
    (call $f)
    (br_table 0 1 (i32.const 1))))
