;; A trap in the start function leaves no canister.
;;
;; call: install ; expect: trap
(module (func $start unreachable) (start $start))
