;; The start function may not certify: traps.
;;
;; call: install ; expect: trap
(module
  (import "ic0" "certified_data_set" (func $certified_data_set (param i32 i32)))
  (memory 1)
  (func $start (call $certified_data_set (i32.const 0) (i32.const 1)))
  (start $start))
