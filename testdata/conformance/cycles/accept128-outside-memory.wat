;; msg_cycles_accept128 writes 16 bytes; if they do not all lie in memory it traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_cycles_accept128" (func $msg_cycles_accept128 (param i64 i64 i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_cycles_accept128 (i64.const 1) (i64.const 100) (i32.const 65521))))
