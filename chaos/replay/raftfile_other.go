//go:build !unix

package replay

import "fmt"

func (f *Folder) lock() error { return nil }

func (f *Folder) openLog() error {
	return fmt.Errorf("log %s: this system maps no files, as reading a replica's log needs", f.Path)
}
