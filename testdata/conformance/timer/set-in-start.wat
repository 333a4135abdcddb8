;; The start function may not set the timer: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "global_timer_set" (func $global_timer_set (param i64) (result i64)))
  (memory 1)
  (func $start (drop (call $global_timer_set (i64.const 0))))
  (start $start))
