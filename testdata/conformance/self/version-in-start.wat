;; The start function has no version: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "canister_version" (func $canister_version (result i64)))
  (memory 1)
  (func $start (drop (call $canister_version)))
  (start $start))
