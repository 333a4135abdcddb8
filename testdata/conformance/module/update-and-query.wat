;; One name may not be both an update and a query.
;;
;; call: install ; expect: refused "t"
(module
  (func $f)
  (export "canister_update t" (func $f))
  (export "canister_query t" (func $f)))
