;; A reference to a function that the module does not have is refused.
;;
;; call: install ; expect: refused
(module
  (memory 1)
  (global funcref (ref.func 1))
  (func (export "canister_update t")))
