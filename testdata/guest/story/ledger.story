# Accounts and transfers, in C with wasi-libc.
install ; expect: ok
update open arg="ada 100" ; expect: reply "1"
update open arg="bob 20" ; expect: reply "2"
update open arg="ada 5" ; expect: reject "the account exists"
update open arg="eve" ; expect: reject "expected: NAME AMOUNT"
update transfer arg="ada bob 30" ; expect: reply "ada 70, bob 50"
update transfer arg="bob ada 51" ; expect: reject "bob has 50, not 51"
query report ; expect: reply "ada          70  58.3% since 2023-11-14\nbob          50  41.7% since 2023-11-14\n"
update exit ; expect: trap
query report ; expect: reply "ada          70  58.3% since 2023-11-14\nbob          50  41.7% since 2023-11-14\n"
update open arg="eve 0" ; expect: reply "3"
update lottery ; expect: replied
update lottery ; expect: replied
update transfer arg="bob eve 0" ; expect: replied
update open arg="dan 1000" ; expect: reply "4"
update open arg="fay 1" ; expect: reply "5"
update open arg="gus 1" ; expect: reply "6"
query report ; expect: replied
