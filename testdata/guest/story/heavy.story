# A Motoko actor that touches much memory; the numbers were worked out by another program in another language.
install arg=candid() ; expect: ok
update resize arg=candid(nat 20000) ; expect: reply candid(nat 20000)
query checksum arg=candid() ; expect: reply candid(nat64 6815359206200444688)
update scatter arg=candid(nat 3000) ; expect: reply candid(nat64 14325286813172598632)
update plant arg=candid(nat 300) ; expect: reply candid(nat 300)
update scatter arg=candid(nat 3000) ; expect: reply candid(nat64 213018702480587643)
update plant arg=candid(nat 300) ; expect: reply candid(nat 600)
update scatter arg=candid(nat 3000) ; expect: reply candid(nat64 3675566038623210515)
update plant arg=candid(nat 300) ; expect: reply candid(nat 900)
query checksum arg=candid() ; expect: reply candid(nat64 14143947519682300637)
update garbage arg=candid(nat 5000) ; expect: reply candid(nat 83890)
update scatter arg=candid(text "not a number") ; expect: trap
update resize arg=candid(nat 50000) ; expect: reply candid(nat 50000)
update scatter arg=candid(nat 1000) ; expect: reply candid(nat64 6033254012548586985)
update plant arg=candid(nat 100) ; expect: reply candid(nat 1000)
query checksum arg=candid() ; expect: reply candid(nat64 4616305279177089406)
