// Package report turns a chaos run into a folder that a person can read, and a program can judge again.
//
//	plan                  the plan's text
//	history.jsonl         everything that happened
//	faults.jsonl          the faults among it
//	roots.csv             round, index, each replica's root
//	logs/n1.log …         what the replicas wrote; of a simulated one what it did, in words
//	verdict.json          the verdict with every checker's finding
//	output.txt            what a simulation printed, if it died
//	report.html           one page: the verdict in a sentence, violations with the leading one first, a chart of faults, lanes, throughput
//	                      and agreement, and porcupine's picture of the newest calls, or of those around a violation
//
// The page is made of the history and its verdict alone, so that an old folder can be shown and judged again (Rejudge). It holds its own
// style, script and data and needs no network. Long runs are thinned out to what a screen can show before they are put into the page, and of very
// many faults and events the newest are in it: its size hardly grows with the run. The page says what it leaves out.
//
// Nothing here runs in the background. The history is being written from Create to Finish; everything else is written by Finish
// under its final name only when it is whole.
package report
