;; An update may not ask for the certificate: traps.
;;
;; call: update t ; expect: trap
(module
  (import "ic0" "data_certificate_size" (func $data_certificate_size (result i32)))
  (memory 1)
  (func (export "canister_update t")
    (drop (call $data_certificate_size))))
