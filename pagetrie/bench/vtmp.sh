#!/bin/sh
# Measures pagetrie alone with other constants than its own: fan-out 16 and 64, smaller and larger buckets, other sizes
# of digest groups. Works on a copy of the package; the copies fail the tests of the format, as they must.
#
#	./variants.sh [rounds]
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/pagetrie"
cp "$here"/../*.go "$work/pagetrie/"
rm "$work"/pagetrie/*_test.go
cp -r "$here/../internal" "$here/../sha256x2" "$here" "$work/pagetrie/"
cp "$here/../../go.mod" "$here/../../go.sum" "$work/"

variant() { # name, then sed expressions for the package
	name=$1
	shift
	cp "$here"/../*.go "$work/pagetrie/"
	rm "$work"/pagetrie/*_test.go
	for edit in "$@"; do
		sed -i -E "$edit" "$work"/pagetrie/*.go
	done
	echo "== $name"
	(cd "$work/pagetrie/bench" && go build -o /dev/null . && echo built)
}

rounds=${1:-3}
what=tables
variant "as it is: fan-out 32, buckets of 29"
variant "fan-out 16" 's/(fanBits +=) 5/\1 4/' 's/(crowd +=) 16/\1 8/' 's/^type bitmap uint32/type bitmap uint16/'
variant "fan-out 64" 's/(fanBits +=) 5/\1 6/' 's/(crowd +=) 16/\1 32/' 's/^type bitmap uint32/type bitmap uint64/' \
	's/(stale +)uint32/\1uint64/' 's/(Load|Store)Uint32\((&[xl]\.stale)/\1Uint64(\2/' \
	's/uint32\((bit\(s\)|both|gone \| starts)\)/uint64(\1)/' 's/^(func loadStale.*) uint32/\1 uint64/'
variant "buckets of 13" 's/(bucketMax +=) 29/\1 13/'
variant "buckets of 21" 's/(bucketMax +=) 29/\1 21/'
variant "buckets of 61" 's/(bucketMax +=) 29/\1 61/'
what=roots
variant "as it is: groups of 8"
variant "groups of 4" 's/(groupBits +=) 3/\1 2/'
variant "groups of 16" 's/(groupBits +=) 3/\1 4/'
