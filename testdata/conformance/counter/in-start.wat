;; The start function may read performance counters.
;;
;; call: install ; expect: ok
(module
  (import "ic0" "performance_counter" (func $performance_counter (param i32) (result i64)))
  (memory 1)
  (func $start (drop (call $performance_counter (i32.const 0))))
  (start $start))
