;; Copying a certificate that is absent: traps.
;;
;; call: query t ; expect: trap
(module
  (import "ic0" "data_certificate_copy" (func $data_certificate_copy (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_query t")
    (call $data_certificate_copy (i32.const 0) (i32.const 0) (i32.const 0))))
