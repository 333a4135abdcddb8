;; A global that the module does not have cannot be exported.
;;
;; call: install ; expect: refused
(module
  (export "mine" (global 0)))
