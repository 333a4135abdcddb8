;; msg_reject_msg_size is for callbacks: in a query it traps.
;;
;; call: query t ; expect: trap
(module
  (import "ic0" "msg_reject_msg_size" (func $msg_reject_msg_size (result i32)))
  (memory 1)
  (func (export "canister_query t")
    (drop (call $msg_reject_msg_size))))
