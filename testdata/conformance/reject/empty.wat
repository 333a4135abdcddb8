;; The text may be empty.
;;
;; call: update t ; expect: reject ""
(module
  (import "ic0" "msg_reject" (func $msg_reject (param i32 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_reject (i32.const 100) (i32.const 0))))
