;; Entry points take nothing.
;;
;; call: install ; expect: refused "canister_update t"
(module (func (export "canister_update t") (param i32)))
