;; The start function has no argument: traps.
;;
;; call: install arg="abc" ; expect: trap
(module
  (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i32)))
  (memory 1)
  (func $start (drop (call $msg_arg_data_size)))
  (start $start))
