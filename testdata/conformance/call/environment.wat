;; The callback gets the number that was given for it: 11 here.
;;
;; call: update t ; expect: reply u64 11
(module
  (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $msg_arg_data_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (import "ic0" "canister_self_size" (func $canister_self_size (result i32)))
  (import "ic0" "canister_self_copy" (func $canister_self_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (table 4 funcref)
  (elem (i32.const 0) $on_reply $on_reject $on_cleanup)
  (memory 1)
  (data (i32.const 100) "echo")
  (data (i32.const 110) "refuse")
  (data (i32.const 120) "break")
  (data (i32.const 130) "missing")
  (data (i32.const 140) "look")
  (func $on_reply (param i32) (call $answer (i64.extend_i32_u (local.get 0))))
  (func $on_reject (param i32))
  (func $on_cleanup (param i32))
  (func (export "canister_update t")
    (call $self_call (i32.const 100) (i32.const 4))
    (call $perform))
  (func (export "canister_update echo")
    (call $msg_arg_data_copy (i32.const 200) (i32.const 0) (call $msg_arg_data_size))
    (call $show (i32.const 200) (call $msg_arg_data_size)))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply))
  (func $show (param i32 i32) ;; replies bytes of memory
    (call $msg_reply_data_append (local.get 0) (local.get 1))
    (call $msg_reply))
  (func $self_call (param $name i32) (param $size i32) ;; begins a call of this canister's method
    (call $canister_self_copy (i32.const 512) (i32.const 0) (call $canister_self_size))
    (call $call_new (i32.const 512) (call $canister_self_size) (local.get $name) (local.get $size)
      (i32.const 0) (i32.const 11) (i32.const 1) (i32.const 22)))
  (func $perform ;; performs the call, which must be possible
    (if (call $call_perform) (then unreachable))))
