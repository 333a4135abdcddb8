;; The start function may print.
;;
;; call: install ; expect: ok
(module
  (import "ic0" "debug_print" (func $debug_print (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func $start (call $debug_print (i32.const 100) (i32.const 5)))
  (start $start))
