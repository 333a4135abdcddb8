;; The start function may ask for controllers.
;;
;; call: install ; expect: ok
(module
  (import "ic0" "is_controller" (func $is_controller (param i32 i32) (result i32)))
  (memory 1)
  (data (i32.const 100) "hello")
  (func $start (drop (call $is_controller (i32.const 100) (i32.const 5))))
  (start $start))
