;; Entry points are functions.
;;
;; call: install ; expect: refused "canister_init"
(module (memory (export "canister_init") 1))
