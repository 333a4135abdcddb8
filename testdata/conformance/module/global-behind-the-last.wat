;; The global behind the last one is refused.
;;
;; call: install ; expect: refused
(module
  (global $own (mut i32) (i32.const 0))
  (func (export "canister_update t")
    (drop (global.get 1))))
