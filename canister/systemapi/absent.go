package systemapi

import "bytes"

// What belongs to a blockchain, and is absent here: cycles, certificates,
// threshold keys, environment variables.

// maxCertified bounds the data that a canister certifies, in bytes.
const maxCertified = 32

func (h *Host) certifiedDataSet(a []uint64) (uint64, error) {
	if a[1] > maxCertified {
		return 0, trapf("ic0.certified_data_set: %d bytes, the limit is %d", a[1], maxCertified)
	}
	mem, err := h.slice(a[0], a[1])
	if err != nil {
		return 0, err
	}
	h.effects.CertifiedData = bytes.Clone(mem)
	return 0, nil
}

func noCertificate(*Host, []uint64) (uint64, error) {
	return 0, trapf("there is no data certificate")
}

// noCycles writes an amount of 0 to the address that is the parameter after
// the first ones.
func noCycles(first int) func(*Host, []uint64) (uint64, error) {
	return func(h *Host, a []uint64) (uint64, error) {
		const amountBytes = 16
		mem, err := h.slice(a[first], amountBytes)
		if err != nil {
			return 0, err
		}
		clear(mem)
		return 0, nil
	}
}

func noMint(*Host, []uint64) (uint64, error) {
	return 0, trapf("ic0.mint_cycles128: only the cycles minting canister may mint")
}

// noKey answers what a signature would cost: there is no key of any name, nor
// more than so many curves or algorithms.
func noKey(kinds uint64) func(*Host, []uint64) (uint64, error) {
	return func(h *Host, a []uint64) (uint64, error) {
		const unknownKind, unknownKey = 1, 2
		if _, err := h.bytes(a[0], a[1]); err != nil {
			return 0, err
		}
		if a[2] >= kinds {
			return unknownKind, nil
		}
		return unknownKey, nil
	}
}

func noVariable(_ *Host, a []uint64) (uint64, error) {
	return 0, trapf("there is no environment variable %d", a[0])
}

func (h *Host) variableExists(a []uint64) (uint64, error) {
	_, err := h.variableName(a[0], a[1])
	return 0, err
}

func (h *Host) variableValue(a []uint64) (uint64, error) {
	name, err := h.variableName(a[0], a[1])
	if err != nil {
		return 0, err
	}
	return 0, trapf("there is no environment variable %q", name)
}

func (h *Host) variableName(ptr, size uint64) (string, error) {
	const longest = 128
	if size > longest {
		return "", trapf("an environment variable's name of %d bytes, the limit is %d", size, longest)
	}
	return h.utf8(ptr, size, "an environment variable's name")
}
