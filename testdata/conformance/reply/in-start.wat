;; The start function may not reply: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func $start (call $msg_reply))
  (start $start))
