package systemapi

import (
	"encoding/binary"
	"strconv"
)

const wasiModule = "wasi_snapshot_preview1"

// Error numbers of WASI preview 1.
const (
	wasiOK       = 0
	wasiBadFile  = 8  // EBADF
	wasiFault    = 21 // EFAULT
	wasiInvalid  = 28 // EINVAL
	wasiNoSystem = 52 // ENOSYS
	wasiNoSeek   = 70 // ESPIPE
)

// wasiFuncs is the whole of wasi_snapshot_preview1. The world behind it has a
// clock that stands at the round's time, randomness made from the round and
// the message, standard output and error that go to the canister's log, an
// empty standard input, and nothing else: no arguments, environment, files,
// folders or sockets. Deviations: to wait takes no time, it sets the
// canister's clock forward, where it stays until the rounds have caught up;
// waiting for nothing that can happen traps; proc_exit traps whatever the code;
// pointers outside memory give EFAULT.
var wasiFuncs = wasiTable([]wasiFunc{
	{"args_get", "ii:i", wasiEmpty},
	{"args_sizes_get", "ii:i", wasiNoStrings},
	{"environ_get", "ii:i", wasiEmpty},
	{"environ_sizes_get", "ii:i", wasiNoStrings},
	{"clock_res_get", "ii:i", wasiClockRes},
	{"clock_time_get", "iIi:i", wasiClockTime},
	{"fd_advise", "iIIi:i", wasiStdioRefuses(wasiNoSeek)},
	{"fd_allocate", "iII:i", wasiStdioRefuses(wasiNoSeek)},
	{"fd_close", "i:i", wasiStdioRefuses(wasiOK)},
	{"fd_datasync", "i:i", wasiStdioRefuses(wasiInvalid)},
	{"fd_fdstat_get", "ii:i", wasiFdstat},
	{"fd_fdstat_set_flags", "ii:i", wasiStdioRefuses(wasiOK)},
	{"fd_fdstat_set_rights", "iII:i", wasiStdioRefuses(wasiOK)},
	{"fd_filestat_get", "ii:i", wasiFilestat},
	{"fd_filestat_set_size", "iI:i", wasiStdioRefuses(wasiInvalid)},
	{"fd_filestat_set_times", "iIIi:i", wasiStdioRefuses(wasiInvalid)},
	{"fd_pread", "iiiIi:i", wasiStdioRefuses(wasiNoSeek)},
	{"fd_prestat_dir_name", "iii:i", wasiError(wasiBadFile)},
	{"fd_prestat_get", "ii:i", wasiError(wasiBadFile)},
	{"fd_pwrite", "iiiIi:i", wasiStdioRefuses(wasiNoSeek)},
	{"fd_read", "iiii:i", wasiRead},
	{"fd_readdir", "iiiIi:i", wasiError(wasiBadFile)},
	{"fd_renumber", "ii:i", wasiError(wasiBadFile)},
	{"fd_seek", "iIii:i", wasiStdioRefuses(wasiNoSeek)},
	{"fd_sync", "i:i", wasiStdioRefuses(wasiInvalid)},
	{"fd_tell", "ii:i", wasiStdioRefuses(wasiNoSeek)},
	{"fd_write", "iiii:i", wasiWrite},
	{"path_create_directory", "iii:i", wasiError(wasiBadFile)},
	{"path_filestat_get", "iiiii:i", wasiError(wasiBadFile)},
	{"path_filestat_set_times", "iiiiIIi:i", wasiError(wasiBadFile)},
	{"path_link", "iiiiiii:i", wasiError(wasiBadFile)},
	{"path_open", "iiiiiIIii:i", wasiError(wasiBadFile)},
	{"path_readlink", "iiiiii:i", wasiError(wasiBadFile)},
	{"path_remove_directory", "iii:i", wasiError(wasiBadFile)},
	{"path_rename", "iiiiii:i", wasiError(wasiBadFile)},
	{"path_symlink", "iiiii:i", wasiError(wasiBadFile)},
	{"path_unlink_file", "iii:i", wasiError(wasiBadFile)},
	{"poll_oneoff", "iiii:i", wasiPoll},
	{"proc_exit", "i", wasiExit},
	{"proc_raise", "i:i", wasiError(wasiNoSystem)},
	{"random_get", "ii:i", wasiRandom},
	{"sched_yield", ":i", wasiError(wasiOK)},
	{"sock_accept", "iii:i", wasiError(wasiBadFile)},
	{"sock_recv", "iiiiii:i", wasiError(wasiBadFile)},
	{"sock_send", "iiiii:i", wasiError(wasiBadFile)},
	{"sock_shutdown", "ii:i", wasiError(wasiBadFile)},
})

type wasiFunc struct {
	name, typ string
	call      func(h *Host, args []uint64) (uint64, error)
}

func wasiTable(rows []wasiFunc) []row {
	table := make([]row, len(rows))
	for i, f := range rows {
		table[i] = row{f.name, f.typ, always, f.call}
	}
	return table
}

func wasiError(code uint64) func(*Host, []uint64) (uint64, error) {
	return func(*Host, []uint64) (uint64, error) { return code, nil }
}

func isStdio(fd uint64) bool { return fd <= 2 }

// wasiStdioRefuses answers with code for the three open descriptors.
func wasiStdioRefuses(code uint64) func(*Host, []uint64) (uint64, error) {
	return func(_ *Host, a []uint64) (uint64, error) {
		if !isStdio(a[0]) {
			return wasiBadFile, nil
		}
		return code, nil
	}
}

// put writes integers of 32 bits in a row, or gives EFAULT.
func (h *Host) put(ptr uint64, words ...uint32) uint64 {
	mem, err := h.slice(ptr, uint64(4*len(words)))
	if err != nil {
		return wasiFault
	}
	for i, w := range words {
		binary.LittleEndian.PutUint32(mem[4*i:], w)
	}
	return wasiOK
}

func (h *Host) put64(ptr, v uint64) uint64 { return h.put(ptr, uint32(v), uint32(v>>32)) }

func wasiEmpty(*Host, []uint64) (uint64, error) { return wasiOK, nil }

func wasiNoStrings(h *Host, a []uint64) (uint64, error) {
	if code := h.put(a[0], 0); code != wasiOK {
		return code, nil
	}
	return h.put(a[1], 0), nil
}

const wasiClocks = 4 // realtime, monotonic, process and thread CPU time

func wasiClockRes(h *Host, a []uint64) (uint64, error) {
	if a[0] >= wasiClocks {
		return wasiInvalid, nil
	}
	return h.put64(a[1], 1), nil
}

func wasiClockTime(h *Host, a []uint64) (uint64, error) {
	if a[0] >= wasiClocks {
		return wasiInvalid, nil
	}
	return h.put64(a[2], uint64(h.now())), nil
}

const wasiCharacterDevice = 2

func wasiFdstat(h *Host, a []uint64) (uint64, error) {
	if !isStdio(a[0]) {
		return wasiBadFile, nil
	}
	const rightRead, rightWrite = 1 << 1, 1 << 6
	rights := uint32(rightWrite)
	if a[0] == 0 {
		rights = rightRead
	}
	return h.put(a[1], wasiCharacterDevice, 0, rights, 0, 0, 0), nil
}

func wasiFilestat(h *Host, a []uint64) (uint64, error) {
	if !isStdio(a[0]) {
		return wasiBadFile, nil
	}
	words := make([]uint32, 16)
	words[4] = wasiCharacterDevice
	words[6] = 1 // one link
	return h.put(a[1], words...), nil
}

// wasiVectors calls f for each buffer of a scatter list.
func (h *Host) wasiVectors(ptr, count uint64, f func([]byte) error) (code uint64, err error) {
	list, err := h.slice(ptr, 8*count)
	if err != nil {
		return wasiFault, nil
	}
	if err := h.charge(16 * count); err != nil {
		return 0, err
	}
	for ; len(list) > 0; list = list[8:] {
		at, size := binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:])
		buf, err := h.slice(uint64(at), uint64(size))
		if err != nil {
			return wasiFault, nil
		}
		if err := f(buf); err != nil {
			return 0, err
		}
	}
	return wasiOK, nil
}

func wasiRead(h *Host, a []uint64) (uint64, error) {
	if a[0] != 0 {
		return wasiBadFile, nil
	}
	return h.put(a[3], 0), nil // the end of an empty input
}

func wasiWrite(h *Host, a []uint64) (uint64, error) {
	if a[0] != 1 && a[0] != 2 {
		return wasiBadFile, nil
	}
	var line []byte
	var total uint32
	code, err := h.wasiVectors(a[1], a[2], func(buf []byte) error {
		total += uint32(len(buf))
		keep := min(len(buf), maxLogText-len(line))
		line = append(line, buf[:keep]...)
		return h.charge(uint64(keep))
	})
	if err != nil || code != wasiOK {
		return code, err
	}
	if a[0] == 2 {
		h.words.write(line)
	}
	h.print(CleanText(string(line), maxLogText))
	return h.put(a[3], total), nil
}

func wasiRandom(h *Host, a []uint64) (uint64, error) {
	mem, err := h.slice(a[0], a[1])
	if err != nil {
		return wasiFault, nil
	}
	if err := h.charge(16 * a[1]); err != nil {
		return 0, err
	}
	_, err = h.rand().Read(mem)
	return wasiOK, err
}

func wasiExit(h *Host, a []uint64) (uint64, error) {
	return 0, Trap("proc_exit(" + strconv.Itoa(int(int32(a[0]))) + ")" + h.LastWords())
}
