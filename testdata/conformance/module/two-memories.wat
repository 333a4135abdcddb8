;; A canister has one memory.
;;
;; call: install ; expect: refused
(module (memory 1) (memory 1))
