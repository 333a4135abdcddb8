//go:build cgo

package canister

import (
	"bytes"
	"errors"
	"fmt"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
	"lockstep/memstore"
)

// Upgrade replaces a canister's module. In order: canister_pre_upgrade of the
// old module; the new one over a fresh memory with its data segments, or over
// the old memory as it is now, if it is kept; its start function; _initialize;
// canister_post_upgrade with the argument. Stable memory and certified data go
// on, globals start anew, and the global timer is off unless the new module
// sets it: Outcome.Timer is never nil. Limits.InstallFuel bounds all of it
// together. The new module sees a version one higher than env's.
//
// If all went well the outcome is Replied with no bytes; the new canister takes
// the place of the old one, whose pages are retired, and of which only queries
// on pinned states and Close are left. Otherwise there is no new canister and
// the old one is as it was.
//
// Keeping memory costs a comparison of all of it.
func Upgrade(c Config, old *Canister, m *Module, env Env, arg []byte, o UpgradeOptions) (*Canister, Outcome, error) {
	if err := c.check(m); err != nil {
		return nil, Outcome{}, err
	}
	if old.broken != nil {
		return nil, Outcome{}, old.broken
	}
	u := upgrade{Config: c, old: old, module: m, before: old.State()}
	out, err := u.run(env, arg, o)
	switch {
	case err != nil:
	case out.Status == Replied:
		if err = u.finish(); err == nil {
			return newCanister(c, u.live, u.after), out, nil
		}
	default:
		if u.live != nil {
			err = u.live.close()
		}
		if err = errors.Join(err, old.rollback()); err == nil {
			return nil, out, nil
		}
	}
	old.broken = fmt.Errorf("upgrade of canister %d in round %d: %w", env.Canister, env.Round, err)
	return nil, Outcome{}, old.broken
}

// upgrade is one upgrade under way.
type upgrade struct {
	Config
	old    *Canister
	module *Module
	before State

	kept  bool      // the memory goes on
	live  *instance // of the new module
	after State
}

// run carries out everything that can fail.
func (u *upgrade) run(env Env, arg []byte, o UpgradeOptions) (Outcome, error) {
	from, to := u.old.live, u.module.Program
	if err := from.begin(u.before); err != nil {
		return Outcome{}, err
	}
	s := &setUp{fuel: u.Limits.InstallFuel, env: env}
	if !o.SkipPreUpgrade {
		out, err := s.run(from, []phase{{program.PreUpgradeExport, systemapi.InPreUpgrade, nil}})
		if err != nil || out.Status != Replied {
			return out, err
		}
	}
	s.timer, s.env.Timer = nil, 0
	u.kept = o.Memory.keeps(from.module.Program, to)
	if size := uint64(from.size()) / perWasmPage; u.kept && size > to.MemoryMax {
		return failed(Trapped, fmt.Sprintf("the memory to keep has %d pages of 64 KiB, the new module has room for %d",
			size, to.MemoryMax), s.spent), nil
	}
	if err := u.enter(); err != nil {
		if err == errTrapAtInstantiation {
			return failed(Trapped, string(errTrapAtInstantiation), s.spent), nil
		}
		return Outcome{}, err
	}
	s.env.Version++
	out, err := s.run(u.live, []phase{
		{program.StartExport, systemapi.InStart, nil},
		{program.InitializeExport, systemapi.InInit, nil},
		{program.PostUpgradeExport, systemapi.InInit, arg},
	})
	if out.Timer == nil {
		out.Timer = new(uint64)
	}
	return out, err
}

// enter makes the new instance and begins its first transaction, over what the
// old one has now.
func (u *upgrade) enter() error {
	from := u.old.live
	c := instanceConfig{Config: u.Config, module: u.module}
	if u.kept {
		c.memory, c.like = u.before.Memory, from.tracked
	}
	var err error
	if u.live, err = newInstance(c); err != nil {
		return err
	}
	if u.kept {
		if err := u.live.lengthen(from.size()); err != nil {
			return err
		}
	}
	if err := u.live.begin(State{}); err != nil {
		return err
	}
	if u.kept {
		u.live.copyMemory(from)
	} else {
		u.live.writeSegments()
	}
	u.live.stable.takeOver(from.stable)
	u.live.certified = from.certified
	return nil
}

// copyMemory makes the memory equal to a shorter or equally long one.
func (in *instance) copyMemory(from *instance) {
	dst, src := in.memory(), from.memory()
	for len(src) > 0 {
		if !bytes.Equal(dst[:memstore.PageSize], src[:memstore.PageSize]) {
			copy(dst, src[:memstore.PageSize])
		}
		dst, src = dst[memstore.PageSize:], src[memstore.PageSize:]
	}
}

// finish lets the old instance go and keeps what the new one did.
func (u *upgrade) finish() error {
	old := u.old
	from := old.live
	old.live, old.broken = nil, errors.New("the canister was upgraded")
	if from.tracked != nil {
		if err := from.tracked.Rollback(from.size()); err != nil && !errors.Is(err, memstore.ErrGrown) {
			return errors.Join(err, from.close())
		}
	}
	if err := from.close(); err != nil {
		return err
	}
	var err error
	if u.after, err = u.live.commit(); err != nil {
		return err
	}
	if !u.kept {
		u.Store.Drop(u.before.Memory)
	}
	return nil
}
