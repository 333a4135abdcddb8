// Package workload makes the messages that clients send, and checks the modules that are installed for them.
//
//	file of JSON lines ──Parse──► Workload ──Stream(seed, client)──► Message, Message, …
//	a module's exports ──Probe(seed, client)──────────────────────► Message, Message, …
//	calls with weights ──Draw(seed)──► Load, which goes to other processes ──Open──► Workload and Modules
//	a module's file    ──ParseModule──► Module, with those that come with Lockstep: CompleteModules
//
// testdata/workload/README.md has the format of the file. A line is a message, or a generator of many; generators on neighbouring
// lines are shuffled together by a permutation that needs no memory (choice.go), so that message i costs no more than the first.
//
// # Invariants
//
//   - The messages depend on the file's text, the seed and their place in the sequence alone: how many clients share a workload
//     changes nothing of what they send altogether. Those of a Probe depend on the modules, the seed and the client's number.
//   - What a file can make this process hold is bounded (workload.go). A faulty file is refused as a whole, with its faults by line.
//   - A module is refused here for the reasons for which the cluster would refuse it, before there is a cluster.
//
// Nothing here starts a goroutine or knows a cluster. Package chaos sends the messages to processes, and its packages real and sim to
// the replicas of a fault plan.
package workload
