;; The start function may trap with a text.
;;
;; call: install ; expect: trap "hello"
(module
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func $start (call $trap (i32.const 100) (i32.const 5)))
  (start $start))
