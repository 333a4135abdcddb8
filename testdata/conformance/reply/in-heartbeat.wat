;; A heartbeat may not reply: traps.
;;
;; call: heartbeat ; expect: trap
(module
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_heartbeat")
    (call $msg_reply)))
