;; A table may not hold a function that the module does not have.
;;
;; call: install ; expect: refused
(module
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 0) 1)
  (func (export "canister_update t")))
