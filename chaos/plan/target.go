package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Who is a word for replicas that are found out when a fault begins.
type Who string

// The words for replicas.
const (
	// All is every replica.
	All Who = "all"
	// Leader is the leader, or replica 1 while there is none.
	Leader Who = "leader"
	// Follower is the replica after the leader by number.
	Follower Who = "follower"
	// Followers is every replica but the leader.
	Followers Who = "followers"
	// Minority is the leader and followers: the most that leave a quorum.
	Minority Who = "minority"
	// Others is, in to=, every replica that is not among nodes=.
	Others Who = "others"
)

var whos = []Who{All, Leader, Follower, Followers, Minority, Others}

// Target is a set of replicas: numbers, or a word for them. The zero value is none.
type Target struct {
	Who Who
	// Nodes are numbers from 1, ascending; nil if Who is set.
	Nodes []int
}

// Listed is the target of the replicas with these numbers.
func Listed(nodes ...int) Target {
	slices.Sort(nodes)
	return Target{Nodes: slices.Compact(nodes)}
}

// Named is the target of a word.
func Named(w Who) Target { return Target{Who: w} }

// IsZero reports whether the target is none at all.
func (t Target) IsZero() bool { return t.Who == "" && len(t.Nodes) == 0 }

// String is the target as it stands in a plan.
func (t Target) String() string {
	if t.Who != "" {
		return string(t.Who)
	}
	var words []string
	for _, n := range t.Nodes {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ",")
}

// parseTarget reads what String writes.
func parseTarget(text string) (Target, error) {
	if w := Who(text); slices.Contains(whos, w) {
		return Named(w), nil
	}
	var nodes []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > MaxReplicas || strconv.Itoa(n) != word {
			return Target{}, fmt.Errorf("%q is not a replica: write numbers from 1 to %d with commas between, or one of %s",
				clip(word), MaxReplicas, join(whos))
		}
		if len(nodes) > 0 && nodes[len(nodes)-1] >= n {
			return Target{}, fmt.Errorf("replicas %s are not in ascending order", clip(text))
		}
		nodes = append(nodes, n)
	}
	return Target{Nodes: nodes}, nil
}

// Roles is what a target is resolved by.
type Roles struct {
	// Replicas is their number, Leader the leader's, 0 for none.
	Replicas, Leader int
	// Besides are the replicas that Others leaves out.
	Besides []int
}

// Resolve gives the numbers of the replicas, ascending. Numbers beyond the cluster are left out.
func (t Target) Resolve(r Roles) []int {
	leader := max(r.Leader, 1)
	var nodes []int
	for n := 1; n <= r.Replicas; n++ {
		// place is how many places behind the leader the replica is.
		place := (n - leader + r.Replicas) % r.Replicas
		in := false
		switch t.Who {
		case "":
			in = slices.Contains(t.Nodes, n)
		case All:
			in = true
		case Leader:
			in = place == 0
		case Follower:
			in = place == 1 || r.Replicas == 1
		case Followers:
			in = place != 0
		case Minority:
			in = place < max(r.Replicas-Quorum(r.Replicas), 1)
		case Others:
			in = !slices.Contains(r.Besides, n)
		}
		if in {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Size is the number of replicas that the target can be, in a cluster of so many.
func (t Target) Size(replicas int) int {
	return len(t.Resolve(Roles{Replicas: replicas, Leader: 1}))
}

// Quorum is the least majority of a cluster's replicas.
func Quorum(replicas int) int { return replicas/2 + 1 }

// join lists words for people.
func join[S ~string](words []S) string { return joinWith(words, ", ") }

// clip keeps what is quoted from a file short enough for a terminal.
func clip(text string) string {
	const limit = 40
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}
