;; Entry points give nothing.
;;
;; call: install ; expect: refused "canister_query t"
(module (func (export "canister_query t") (result i32) i32.const 1))
