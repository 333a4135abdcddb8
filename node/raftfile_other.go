//go:build !unix

package node

import (
	"errors"
	"io"
	"os"

	"github.com/hashicorp/raft"
)

// errNoFolder is what a data folder would need here.
var errNoFolder = errors.New("this system maps and locks no files, as a data folder's log needs: start the replica on another ground (StartOn)")

func openRaftFile(string) (raft.LogStore, raft.StableStore, io.Closer, error) {
	return nil, nil, nil, errNoFolder
}

func lockFolder(*os.File) error { return errNoFolder }
