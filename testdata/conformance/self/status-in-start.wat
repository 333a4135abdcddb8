;; The start function has no status: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "canister_status" (func $canister_status (result i32)))
  (memory 1)
  (func $start (drop (call $canister_status)))
  (start $start))
