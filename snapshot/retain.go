package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// SetAside takes a checkpoint out of the list and keeps its folder as evidence, with the reason beside its files. It is
// called by the store when it finds damage; a state machine calls it when a checkpoint does not give the root it promises.
func (s *Store) SetAside(id string, reason error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setAsideLocked(id, reason)
}

func (s *Store) setAsideLocked(id string, reason error) error {
	from, to := join(s.config.Dir, id), join(s.config.Dir, damagedPrefix+id)
	delete(s.published, id)
	if err := removeAll(s.fs, to); err != nil {
		return fmt.Errorf("set checkpoint %s aside: %w", id, err)
	}
	if err := ignoreMissing(s.fs.Rename(from, to)); err != nil {
		return fmt.Errorf("set checkpoint %s aside: %w", id, err)
	}
	s.writeReason(to, reason)
	if s.config.OnDamage != nil {
		s.config.OnDamage(id, reason)
	}
	return s.dropDamagedLocked()
}

// writeReason leaves a note for people. The evidence is as good without it, so a disk that refuses it is no further error.
func (s *Store) writeReason(dir string, reason error) {
	f, err := s.fs.Create(join(dir, reasonName))
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteAt([]byte(reason.Error()+"\n"), 0)
}

// dropDamagedLocked bounds the evidence: the newest by index stay.
func (s *Store) dropDamagedLocked() error {
	entries, err := s.fs.List(s.config.Dir)
	if err != nil {
		return fmt.Errorf("list damaged checkpoints: %w", err)
	}
	var damaged []name
	for _, e := range entries {
		if n, ok := parseName(strings.TrimPrefix(e, damagedPrefix)); ok && strings.HasPrefix(e, damagedPrefix) {
			damaged = append(damaged, n)
		}
	}
	slices.SortFunc(damaged, name.compare)
	var errs []error
	for i := 0; i < len(damaged)-max(s.config.KeepDamaged, 0); i++ {
		errs = append(errs, removeAll(s.fs, join(s.config.Dir, damagedPrefix+damaged[i].String())))
	}
	return errors.Join(errs...)
}

// retainLocked removes all but the newest checkpoints. One that is being read as a base stays until the next time.
func (s *Store) retainLocked() error {
	var errs []error
	for i, p := range s.newestFirstLocked() {
		if id := p.name.String(); i >= s.config.Keep && s.pins[id] == 0 {
			errs = append(errs, s.removeLocked(id))
		}
	}
	return errors.Join(errs...)
}

// removeLocked takes the folder out of sight with one rename before it removes the files one by one.
func (s *Store) removeLocked(id string) error {
	temp := join(s.config.Dir, tempPrefix+"removed-"+id)
	if err := removeAll(s.fs, temp); err != nil {
		return err
	}
	if err := s.fs.Rename(join(s.config.Dir, id), temp); err != nil {
		return fmt.Errorf("remove checkpoint %s: %w", id, err)
	}
	delete(s.published, id)
	return removeAll(s.fs, temp)
}
