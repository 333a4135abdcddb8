// Package history is what a chaos run has recorded: everything that checkers judge and reports show.
//
//	{"format":1,"replicas":3,"seed":42,"plan":"9f0c…","layer":"sim"}
//	{"at":1000000,"kind":"started","node":1}
//	{"at":2500000,"kind":"role","role":"leader","node":1,"term":2}
//	{"at":3000000,"kind":"invoked","class":"update","client":4,"op":1,"session":9,"seq":1,"text":"kv.put"}
//	{"at":4100000,"kind":"applied","node":1,"term":2,"index":5,"round":1,"root":"ab…"}
//	{"at":4200000,"kind":"returned","outcome":"ok","op":1,"index":5,"round":1,"ran":1,"text":"replied"}
//
// A history is JSON Lines: a header, then one event a line, in the order in which they were recorded. It is only ever added to,
// so that what a killed run has left can still be read. Recording and judging are apart: a run hands its events to a
// Recorder, which writes them and tells an online checker; the same events are read again by a Scanner whenever somebody wants
// to judge an old run by a newer checker.
//
//	runner ──Add──► Recorder ──► history.jsonl, faults.jsonl ──Scanner──► checkers, report
//	                   └──Observe──► checkers, online
//
// Invariants:
//
//   - What a kind of event has and has not is in one table, kindSpecs; Recorder and Scanner both refuse what does not fit.
//   - Times come in events, as durations since the run began. Nothing here reads a clock.
//   - The order of the lines is the order in which the recorder was told. Of one node, or of one client, it is the order in
//     which things happened; between them At decides, as far as the runner's clock is to be believed.
//   - A call has three outcomes, and one that never returned is unknown. Unknown is never turned into refused.
//
// The only goroutines are the callers'. The idea of one recorded history that is judged apart is porcupine's and etcd's.
package history
