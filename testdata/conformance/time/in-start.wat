;; The start function does not know the time: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "time" (func $time (result i64)))
  (memory 1)
  (func $start (drop (call $time)))
  (start $start))
