;; canister_init was sent no cycles: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "msg_cycles_available" (func $msg_cycles_available (result i64)))
  (memory 1)
  (func (export "canister_init")
    (drop (call $msg_cycles_available))))
