;; An import that does not exist is refused by its name.
;;
;; call: install ; expect: refused "ic0.msg_repli"
(module (import "ic0" "msg_repli" (func)))
