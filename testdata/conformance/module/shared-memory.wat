;; Shared memory is refused.
;;
;; call: install ; expect: refused
(module (memory 1 2 shared))
