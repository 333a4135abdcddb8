;; A reject carries a text.
;;
;; call: update t ; expect: reject "hello"
;; call: query q ; expect: reject "hello"
(module
  (import "ic0" "msg_reject" (func $msg_reject (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func (export "canister_update t")
    (call $msg_reject (i32.const 100) (i32.const 5)))
  (func (export "canister_query q")
    (call $msg_reject (i32.const 100) (i32.const 5))))
