# A Motoko map whose methods call their own actor.
install arg=candid() ; expect: ok
update put arg=candid(text "a", text "1") ; expect: reply candid()
query get arg=candid(text "a") ; expect: reply candid(text "1")
query get arg=candid(text "b") ; expect: reply candid(text "")
update copy arg=candid(text "a", text "b") ; expect: reply candid(text "1")
update fill arg=candid(text "k", nat 5) ; expect: reply candid(nat 5)
query size arg=candid() ; expect: reply candid(nat 7)
query dump arg=candid() ; expect: reply candid(text "a=1;b=1;k0=value 0;k1=value 1;k2=value 4;k3=value 9;k4=value 16;")
update attempt arg=candid(text "no more") ; expect: reply candid(text "caught: no more")
update fail arg=candid(text "no more") ; expect: reject "no more"
update trapAfterAwait arg=candid(text "t") ; expect: trap
query get arg=candid(text "t") ; expect: reply candid(text "before the await")
query get arg=candid(text "t'") ; expect: reply candid(text "called")
query inFlight arg=candid() ; expect: reply candid(nat 0)
update fill arg=candid(text "more ", nat 30) ; expect: reply candid(nat 30)
query size arg=candid() ; expect: reply candid(nat 39)
