package systemapi

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// MaxPrincipal bounds a principal, in bytes.
const MaxPrincipal = 29

// canisterSuffix ends the principals of canisters.
const canisterSuffix = "\x01\x01"

// Principal is the principal of a canister: its number, big endian, and the
// suffix that marks a canister on the Internet Computer.
func Principal(id uint64) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 10), id), canisterSuffix...)
}

// CanisterOf is the canister whose principal this is, false if it is none.
func CanisterOf(principal []byte) (id uint64, ok bool) {
	if len(principal) != 10 || string(principal[8:]) != canisterSuffix {
		return 0, false
	}
	return binary.BigEndian.Uint64(principal), true
}

var principalText = base32.StdEncoding.WithPadding(base32.NoPadding)

// PrincipalText is the text form: base32 of checksum and bytes, in lower case,
// a dash after every five characters.
func PrincipalText(principal []byte) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(principal))
	text := strings.ToLower(principalText.EncodeToString(append(sum, principal...)))
	var b strings.Builder
	for i := 0; i < len(text); i += 5 {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(text[i:min(i+5, len(text))])
	}
	return b.String()
}

// ParsePrincipal reads the text form, which it must have exactly.
func ParsePrincipal(text string) ([]byte, error) {
	raw, err := principalText.DecodeString(strings.ToUpper(strings.ReplaceAll(text, "-", "")))
	if err != nil || len(raw) < 4 || len(raw) > 4+MaxPrincipal {
		return nil, fmt.Errorf("%q is not a principal", text)
	}
	if binary.BigEndian.Uint32(raw) != crc32.ChecksumIEEE(raw[4:]) {
		return nil, fmt.Errorf("principal %q: the checksum does not fit", text)
	}
	if PrincipalText(raw[4:]) != text {
		return nil, fmt.Errorf("principal %q is written %s", text, PrincipalText(raw[4:]))
	}
	return raw[4:], nil
}
