;; Globals cannot be imported.
;;
;; call: install ; expect: refused
(module (import "ic0" "msg_reply" (global i32)))
