package sim

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"lockstep/chaos/plan"
	"lockstep/node"
)

// device is what of a replica outlasts its machine: its disk as the last life has left it.
type device struct {
	home  string // real folder of all lives
	lives int

	image image
	files *files
	// joining is the replica's marker: it is set on a device that is new. strictly is set when the log was set aside.
	joining, strictly bool
	// damagedLog says that a fault damaged the log, and that it was not set aside since.
	damagedLog bool
	// evidence is of a divergence that was found; nil for none.
	evidence *node.Evidence
}

func newDevice(home string) *device { return &device{home: home, image: newImage(), joining: true} }

// folder is the real folder of the next life.
func (d *device) folder() string {
	d.lives++
	return filepath.Join(d.home, fmt.Sprint(d.lives))
}

// plug gives the disk and the files for a new life.
func (d *device) plug(f *diskFaults, g *gate, dead chan struct{}) (*disk, *files, error) {
	if d.files == nil {
		fresh, err := newFiles(d.folder(), f, dead)
		if err != nil {
			return nil, nil, err
		}
		d.files = fresh
	}
	d.files.faults, d.files.dead = f, dead
	return newDisk(d.image, f, g, dead), d.files, nil
}

// left is what a life leaves.
type left struct{ lost, torn int }

// unplug takes the disk out of a machine whose power fails: from now on the old life works on a copy that nobody sees again.
func (d *device) unplug(from *disk, power plan.Power, r *rand.Rand) (left, error) {
	var l left
	d.image, l.lost, l.torn = from.after(power, r)
	files, lost, torn, err := d.files.after(d.folder(), power, r)
	if err != nil {
		return l, fmt.Errorf("carry checkpoints over a crash: %w", err)
	}
	d.files = files
	l.lost, l.torn = l.lost+lost, l.torn+torn
	return l, nil
}

// wipe makes the device new.
func (d *device) wipe() {
	d.image, d.files, d.joining, d.strictly, d.damagedLog, d.evidence = newImage(), nil, true, false, false, nil
}
