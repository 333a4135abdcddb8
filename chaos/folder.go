package chaos

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"lockstep/chaos/tempdir"
)

// A cluster's folder:
//
//	cluster.json   what the cluster is: Manifest
//	lock           locked while a run uses the folder; holds the process id of that run
//	TEMPORARY      only in temporary folders (chaos/tempdir), locked as well: who finds it unlocked may remove the folder
//	n1/ n2/ …      the data of each replica
//	logs/n1.log …  what each replica wrote to its standard output and error
const (
	manifestName = "cluster.json"
	lockName     = "lock"
	logsName     = "logs"

	manifestFormat  = 1
	maxManifestSize = 1 << 20
	temporaryPrefix = "lockstep-run-"
)

// ErrFolder marks a folder that cannot be used for a cluster: not ours, in use, or of another shape.
var ErrFolder = errors.New("data folder")

// Folder is a cluster's folder, locked for this process from OpenFolder to Close.
type Folder struct {
	// Path is absolute; name is what OpenFolder was given, for errors.
	Path string
	name string
	// Manifest is nil in a folder that is new; SetManifest makes it one of a cluster.
	Manifest  *Manifest
	temporary *tempdir.Dir // nil for one that stays
	closed    bool
	locks     []*os.File
}

// OpenFolder opens a cluster's folder and locks it; "" makes a temporary one. A folder that does not exist is made, an
// empty one is taken. Anything else must hold a readable cluster.json. Errors wrap ErrFolder.
func OpenFolder(path string) (*Folder, error) {
	if path == "" {
		return newTemporaryFolder()
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrFolder, path, err)
	}
	f := &Folder{Path: abs, name: path}
	if err := f.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w %s: %w", ErrFolder, path, err), f.Close())
	}
	return f, nil
}

func (f *Folder) open() error {
	if err := os.MkdirAll(f.Path, 0o755); err != nil {
		return err
	}
	if err := f.checkOurs(); err != nil {
		return err
	}
	if err := f.lock(lockName); err != nil {
		return err
	}
	m, err := readManifest(filepath.Join(f.Path, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f.Manifest = m
	return err
}

// checkOurs refuses a folder that holds something else, before anything is written to it.
func (f *Folder) checkOurs() error {
	entries, err := os.ReadDir(f.Path)
	if err != nil {
		return err
	}
	foreign := ""
	for _, e := range entries {
		switch e.Name() {
		case manifestName:
			return nil
		case lockName, manifestName + ".tmp":
		default:
			foreign = e.Name()
		}
	}
	if foreign != "" {
		return fmt.Errorf("it has no %s but other files (%s): it is not a cluster's folder; name a new or an empty one",
			manifestName, foreign)
	}
	return nil
}

// lock takes an exclusive lock on a file of the folder, which the system drops when this process ends, however it ends.
func (f *Folder) lock(name string) error {
	path := filepath.Join(f.Path, name)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := "another process"
		if pid, readErr := os.ReadFile(path); readErr == nil && len(pid) > 0 && len(pid) < 16 {
			holder = "process " + strings.TrimSpace(string(pid))
		}
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("it is in use by %s: stop that run first, or name another folder", holder)
		}
		return fmt.Errorf("lock %s: %w", name, err)
	}
	f.locks = append(f.locks, file)
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// HasCluster reports whether a path is the folder of a cluster. That it can be used is another matter.
func HasCluster(path string) bool {
	_, err := os.Stat(filepath.Join(path, manifestName))
	return path != "" && err == nil
}

// Temporary reports whether Remove is what should happen to the folder in the end.
func (f *Folder) Temporary() bool { return f.temporary != nil }

// Keep makes a temporary folder one that stays.
func (f *Folder) Keep() error {
	if f.temporary == nil {
		return nil
	}
	err := f.temporary.Keep()
	f.temporary = nil
	return err
}

// DataPath is the folder of one replica's data; LogPath is the file of what it printed.
func (f *Folder) DataPath(id string) string { return filepath.Join(f.Path, id) }

// LogPath is the file that takes a replica's standard output and error.
func (f *Folder) LogPath(id string) string { return filepath.Join(f.Path, logsName, id+".log") }

// Close unlocks the folder, after removing it if it is temporary.
func (f *Folder) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	var errs []error
	if f.temporary != nil {
		errs = append(errs, f.temporary.Remove())
	}
	for _, file := range f.locks {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

// newTemporaryFolder makes a folder that goes away with the run.
func newTemporaryFolder() (*Folder, error) {
	dir, err := tempdir.Make("", temporaryPrefix)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFolder, err)
	}
	f := &Folder{Path: dir.Path, name: dir.Path, temporary: dir}
	if err := f.lock(lockName); err != nil {
		return nil, errors.Join(fmt.Errorf("%w %s: %w", ErrFolder, dir.Path, err), f.Close())
	}
	return f, nil
}

// newClusterID draws a name for a new cluster.
func newClusterID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
