// Package link carries the connections between replicas: who may talk to whom, which bytes arrived as they were sent, and an end
// for all of them at once. It knows nothing of what is said on them.
//
// A dialled connection begins with a greeting that names the cluster, both nodes and the purpose (greeting.go); a node answers with
// a welcome or with the reason of its refusal. Frames with checksums follow in both directions (frames.go). Layer owns the listener
// and every connection (layer.go); it is the StreamLayer of hashicorp/raft's network transport, and gives connections for a
// checkpoint to their taker. How many connections others can hold open here is bounded (accepted.go), and what one may bring before it is
// answered (Config.MessageBytes).
//
// Layer starts no goroutine. A greeting is read by whoever reads first from an accepted connection.
package link
