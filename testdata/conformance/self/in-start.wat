;; The start function does not know the canister yet: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "canister_self_size" (func $canister_self_size (result i32)))
  (memory 1)
  (func $start (drop (call $canister_self_size)))
  (start $start))
