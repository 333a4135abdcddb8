;; An import of an unknown module is refused.
;;
;; call: install ; expect: refused "host.print"
(module (import "host" "print" (func)))
