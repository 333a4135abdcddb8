# A canister in TypeScript on Azle: see index.ts. Played with -guest and -story, since its module is too large to be kept here.
install arg=candid() ; expect: ok
update increment arg=candid() ; expect: reply candid(nat 1)
update put arg=candid(text "a", text "hello") ; expect: replied
update twice arg=candid() ; expect: reply candid(nat 5)
update fail arg=candid(text "no way") ; expect: trap "no way"
query get arg=candid() ; expect: reply candid(nat 3)
update later arg=candid() ; expect: replied
timer ; expect: ok
query get arg=candid() ; expect: reply candid(nat 103)
update twice arg=candid() ; expect: reply candid(nat 209)
query read arg=candid(text "a") ; expect: replied
upgrade arg=candid() ; expect: ok
query get arg=candid() ; expect: reply candid(nat 0)
update twice arg=candid() ; expect: reply candid(nat 3)
query read arg=candid(text "a") ; expect: replied
