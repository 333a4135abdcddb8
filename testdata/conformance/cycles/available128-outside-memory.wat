;; msg_cycles_available128 writes 16 bytes; if they do not all lie in memory it traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "msg_cycles_available128" (func $msg_cycles_available128 (param i32)))
  (memory 1)
  (func (export "canister_update t")
    (call $msg_cycles_available128 (i32.const 65521))))
