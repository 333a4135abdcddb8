;; The size of a certificate that is absent: traps.
;;
;; call: query t ; expect: trap
(module
  (import "ic0" "data_certificate_size" (func $data_certificate_size (result i32)))
  (memory 1)
  (func (export "canister_query t")
    (drop (call $data_certificate_size))))
