//go:build !unix

package tempdir

import (
	"errors"
	"os"
)

// lockFile fails: there are no locks here, so nothing can be marked or swept.
func lockFile(*os.File) error { return errors.ErrUnsupported }
