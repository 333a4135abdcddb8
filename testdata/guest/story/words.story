# A count of words, in AssemblyScript.
install ; expect: ok
update canister arg="" ; expect: missing
update add arg="the quick brown fox jumps over the lazy dog" ; expect: reply "8"
query count arg="the" ; expect: reply "2"
query count arg="cat" ; expect: reply "0"
query list ; expect: reply "brown=1 dog=1 fox=1 jumps=1 lazy=1 over=1 quick=1 the=2 "
query mean ; expect: reply "3.888888888888889"
update fail ; expect: trap "abort: asked to fail in words/words.ts:"
query count arg="this word must not stay" ; expect: reply "0"
update add arg="café  naïve café" ; expect: reply "10"
query count arg="café" ; expect: reply "2"
update add arg="a b c d e f g h i j k l m n o p q r s t u v w x y z" ; expect: reply "36"
query count arg="z" ; expect: reply "1"
