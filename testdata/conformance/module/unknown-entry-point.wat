;; Names that begin with canister_ are reserved for entry points.
;;
;; call: install ; expect: refused "canister_foo"
(module (func (export "canister_foo")))
