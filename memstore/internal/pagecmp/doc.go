// Package pagecmp finds where two 4 KiB pages differ.
package pagecmp

// Lines is how many cache lines of 64 bytes a page has.
const Lines = 64

// First is the number of the first line in which the pages at a and b differ, or Lines. While it works it fetches the
// same lines of the pages at nextA and nextB into the cache, since the processor's own look-ahead stops at a page's end.
// Preconditions: a and b are pages.
func First(a, b, nextA, nextB *byte) int {
	if wide {
		return first(a, b, nextA, nextB)
	}
	return plain(a, b)
}
