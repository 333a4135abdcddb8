;; A query that is not replicated may not ask for the root key: traps.
;;
;; call: query t ; expect: trap
(module
  (import "ic0" "root_key_size" (func $root_key_size (result i32)))
  (memory 1)
  (func (export "canister_query t")
    (drop (call $root_key_size))))
