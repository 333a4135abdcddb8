package pagetrie

import "encoding/binary"

// First bytes of every message that this package hashes: FORMAT.md has the table.
const (
	domain          = "LPT1"
	kindRoot        = 0
	kindBucket      = 1
	kindLeaf        = 2
	kindBranch      = 3
	kindLeafGroup   = 4
	kindBranchGroup = 5
)

// longestMessage is the length of that of a full bucket, the longest of all.
const longestMessage = len(domain) + 2 + bucketMax*(8+len(Hash{}))

func appendKind(dst []byte, kind byte) []byte { return append(append(dst, domain...), kind) }

// appendRoot is the message of the root of a map whose topmost node has that digest; entries may not be 0.
func appendRoot(dst []byte, entries uint64, digest *Hash) []byte {
	return append(binary.BigEndian.AppendUint64(appendKind(dst, kindRoot), entries), digest[:]...)
}

func appendEmptyRoot(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(appendKind(dst, kindRoot), 0)
}

// appendBucket is the message of a bucket; the i-th of hashes is that of the value of the i-th of ents.
func appendBucket(dst []byte, ents []Entry, hashes []Hash) []byte {
	dst = append(appendKind(dst, kindBucket), byte(len(ents)))
	for i := range ents {
		dst = append(binary.BigEndian.AppendUint64(dst, ents[i].Key), hashes[i][:]...)
	}
	return dst
}

// appendGroup is the message of 8 adjacent slots, which are used as in mask, with the hashes of those in use.
func appendGroup(dst []byte, kind byte, mask bitmap, hashes []Hash) []byte {
	dst = append(appendKind(dst, kind), byte(mask))
	for i := range hashes {
		dst = append(dst, hashes[i][:]...)
	}
	return dst
}

// appendKidGroup is the same with the hashes by slot.
func appendKidGroup(dst []byte, mask bitmap, kids *groupHashes) []byte {
	dst = append(appendKind(dst, kindBranchGroup), byte(mask))
	for rest := mask; rest != 0; rest &= rest - 1 {
		dst = append(dst, kids[rest.lowest()&(groupSize-1)][:]...)
	}
	return dst
}

func appendLeaf(dst []byte, base uint64, present bitmap, groups *[groupCount]Hash) []byte {
	return appendGroups(binary.BigEndian.AppendUint64(appendKind(dst, kindLeaf), base), present, groups)
}

func appendBranch(dst []byte, base uint64, shift uint8, starts bitmap, groups *[groupCount]Hash) []byte {
	dst = append(binary.BigEndian.AppendUint64(appendKind(dst, kindBranch), base), shift)
	return appendGroups(dst, starts, groups)
}

// appendGroups ends the message of a leaf or branch: which slots are used, and the digests of the groups with any.
func appendGroups(dst []byte, used bitmap, groups *[groupCount]Hash) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(used))
	for g := range groupCount {
		if used.group(g) != 0 {
			dst = append(dst, groups[g][:]...)
		}
	}
	return dst
}
