;; Nothing is known of a caller beside its principal: the auxiliary information is empty.
;;
;; call: update t ; expect: reply u64 0
(module
  (import "ic0" "msg_caller_info_data_size" (func $msg_caller_info_data_size (result i32)))
  (import "ic0" "msg_caller_info_signer_size" (func $msg_caller_info_signer_size (result i32)))
  (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $msg_reply))
  (memory 1)
  (func (export "canister_update t")
    (call $answer (i64.extend_i32_u (i32.add (call $msg_caller_info_data_size) (call $msg_caller_info_signer_size)))))
  (func $answer (param i64) ;; replies the number, 8 bytes
    (i64.store (i32.const 0) (local.get 0))
    (call $msg_reply_data_append (i32.const 0) (i32.const 8))
    (call $msg_reply)))
