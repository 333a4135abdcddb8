;; The 32-bit forms of stable memory do not exist for a 64-bit module.
;;
;; call: install ; expect: refused "ic0.stable_size"
(module
  (import "ic0" "stable_size" (func (result i32)))
  (memory i64 1))
