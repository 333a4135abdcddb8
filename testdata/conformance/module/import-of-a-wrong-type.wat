;; An import must have the type that the host function has.
;;
;; call: install ; expect: refused "ic0.msg_reply"
(module (import "ic0" "msg_reply" (func (param i32))))
