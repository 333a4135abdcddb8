// Package figure is how measurements are told that the project holds itself to: what was done, what is to be reached, what was measured,
// and whether that is enough. `cluster bench` prints them.
package figure
