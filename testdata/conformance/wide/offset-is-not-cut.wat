;; Offsets are not cut to 32 bits: traps.
;;
;; call: update t arg="argument" ; expect: trap
(module
  (import "ic0" "msg_arg_data_copy" (func $msg_arg_data_copy (param i64 i64 i64)))
  (memory i64 1)
  (func (export "canister_update t")
    (call $msg_arg_data_copy (i64.const 0) (i64.const 0x100000000) (i64.const 0))))
