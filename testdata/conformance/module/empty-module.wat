;; A module with nothing in it can be installed; it has no methods.
;;
;; call: install ; expect: ok
;; call: update t ; expect: missing
;; call: query t ; expect: missing
(module)
