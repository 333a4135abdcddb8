;; canister_init may not ask for information about the caller: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "msg_caller_info_data_size" (func $msg_caller_info_data_size (result i32)))
  (memory 1)
  (func (export "canister_init")
    (drop (call $msg_caller_info_data_size))))
