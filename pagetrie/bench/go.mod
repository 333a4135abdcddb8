module lockstep/pagetrie/bench

go 1.26.8

require (
	github.com/benbjohnson/immutable v0.4.3
	github.com/google/btree v1.1.3
	github.com/hashicorp/go-immutable-radix/v2 v2.1.0
	github.com/tidwall/btree v1.8.2
	golang.org/x/sys v0.49.0
	lockstep v0.0.0
)

require (
	github.com/hashicorp/golang-lru/v2 v2.0.0 // indirect
	golang.org/x/exp v0.0.0-20221215174704-0915cd710c24 // indirect
)

replace lockstep => ../..
