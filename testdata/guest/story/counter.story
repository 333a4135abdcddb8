# A Motoko counter.
install arg=candid() ; expect: ok
update increment arg=candid() ; expect: reply candid(nat 1)
update add arg=candid(nat 41) ; expect: reply candid(nat 42)
query get arg=candid() ; expect: reply candid(nat 42)
update square arg=candid() ; expect: reply candid(nat 1764)
update square arg=candid() ; expect: reply candid(nat 3111696)
update square arg=candid() ; expect: reply candid(nat 9682651996416)
update square arg=candid() ; expect: reply candid(nat 93753749683698750476845056)
update square arg=candid() ; expect: reply candid(nat 8789765579753643555083504787829125689141207431643136)
update subtract arg=candid(nat 100000000000000000000000000000000000000000000000000000000000000000000000000000000) ; expect: trap
query get arg=candid() ; expect: reply candid(nat 8789765579753643555083504787829125689141207431643136)
update subtract arg=candid(nat 8789765579753643555083504787829125689141207431643129) ; expect: reply candid(nat 7)
update get arg=candid() ; expect: reply candid(nat 7)
update add arg=0x00 ; expect: trap
update nothing arg=candid() ; expect: missing
update increment arg=candid() ; expect: reply candid(nat 8)
