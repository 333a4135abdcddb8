;; canister_init may not reject: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "msg_reject" (func $msg_reject (param i32 i32)))
  (memory 1)
  (func (export "canister_init")
    (call $msg_reject (i32.const 0) (i32.const 0))))
