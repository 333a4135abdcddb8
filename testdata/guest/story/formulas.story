# Formulas, in C++ with libc++.
install ; expect: ok
query list ; expect: reply "pi = 3.141592654, asked 0\n"
update set arg="r = 2 + 0.5" ; expect: reply "(2 + 0.5)"
update set arg="area = pi * r * r" ; expect: reply "((pi * r) * r)"
query value arg="area" ; expect: reply "19.63495408"
update ask arg="area" ; expect: reply "19.63495408"
update set arg="a = b + 1" ; expect: reply "(b + 1)"
query value arg="a" ; expect: reject "a is unknown, or refers to itself or to what is unknown"
update set arg="b = a" ; expect: reply "a"
update ask arg="a" ; expect: reject "a is unknown, or refers to itself or to what is unknown"
update abort ; expect: trap
query value arg="lost" ; expect: reject "lost is unknown, or refers to itself or to what is unknown"
update set arg="b = sqrt(2) / (1 - 3)" ; expect: reply "(sqrt(2) / (1 - 3))"
query value arg="a" ; expect: reply "0.2928932188"
update set arg="b = (1 +" ; expect: reject "expected: NAME = FORMULA"
update set arg="nan = sqrt(0 - 1)" ; expect: reply "sqrt((0 - 1))"
query value arg="nan" ; expect: reply "nan"
update ask arg="a" ; expect: reply "0.2928932188"
query list ; expect: reply "a = (b + 1), asked 2\narea = ((pi * r) * r), asked 1\nb = (sqrt(2) / (1 - 3)), asked 0\nnan = sqrt((0 - 1)), asked 0\npi = 3.141592654, asked 0\nr = (2 + 0.5), asked 0\n"
upgrade ; expect: ok
query list ; expect: reply "pi = 3.141592654, asked 0\n"
