;; A global that the module does not have is refused, also where preparation would add one.
;;
;; call: install ; expect: refused
(module
  (func $f)
  (func (export "canister_update t")
    (call $f)
    (global.set 0 (i32.const -1))))
