;; A query may not set the timer: traps, also when it runs replicated.
;;
;; call: query t ; expect: trap
;; call: update t ; expect: trap
(module
  (import "ic0" "global_timer_set" (func $global_timer_set (param i64) (result i64)))
  (memory 1)
  (func (export "canister_query t")
    (drop (call $global_timer_set (i64.const 0)))))
