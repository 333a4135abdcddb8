;; The start function has no caller: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "msg_caller_size" (func $msg_caller_size (result i32)))
  (memory 1)
  (func $start (drop (call $msg_caller_size)))
  (start $start))
