;; One name may not be both a query and a composite query.
;;
;; call: install ; expect: refused "t"
(module
  (func $f)
  (export "canister_query t" (func $f))
  (export "canister_composite_query t" (func $f)))
