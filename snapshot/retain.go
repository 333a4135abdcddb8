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

// admits refuses a checkpoint from elsewhere that is of another cluster, older than the newest one here, or contradicts one of the
// same entry.
func (s *Store) admits(m *Manifest) error {
	if reason := s.foreign(m); reason != "" {
		return errors.New(reason)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, p := range s.published {
		if p.name.index > m.Index {
			return fmt.Errorf("it is of index %d, older than %s which this replica has", m.Index, id)
		}
	}
	return s.agreesLocked(m)
}

func (s *Store) agrees(m *Manifest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.agreesLocked(m)
}

// agreesLocked refuses a checkpoint that says something else about a log entry than one that is here.
func (s *Store) agreesLocked(m *Manifest) error {
	for id, p := range s.published {
		if p.name.index == m.Index && (p.name.term != m.Term || p.root != m.Root) {
			return fmt.Errorf("at index %d it has term %d and state root %v, %s has state root %v: the states have diverged", m.Index, m.Term, m.Root, id, p.root)
		}
	}
	return nil
}

// retainLocked removes all but the newest checkpoints, and those that a merge has replaced. One that is being read as a
// base stays until the next time. The folders are out of sight for good before the first of their files is removed.
func (s *Store) retainLocked() error {
	var temps []string
	kept, last := 0, name{}
	for _, p := range s.newestFirstLocked() {
		replaced := kept > 0 && p.name.index == last.index && p.name.term == last.term
		if !replaced && kept < s.config.Keep {
			kept, last = kept+1, p.name
			continue
		}
		if s.pins[p.name.String()] > 0 {
			continue
		}
		temp, err := s.hideLocked(p.name.String())
		if err != nil {
			return err
		}
		temps = append(temps, temp)
	}
	if len(temps) == 0 {
		return nil
	}
	if err := s.fs.SyncDir(s.config.Dir); err != nil {
		return fmt.Errorf("remove checkpoints: %w", err)
	}
	var errs []error
	for _, temp := range temps {
		errs = append(errs, removeAll(s.fs, temp))
	}
	return errors.Join(errs...)
}

// hideLocked takes a checkpoint out of the list and gives its folder a temporary name.
func (s *Store) hideLocked(id string) (string, error) {
	temp := join(s.config.Dir, tempPrefix+"removed-"+id)
	if err := removeAll(s.fs, temp); err != nil {
		return "", err
	}
	if err := s.fs.Rename(join(s.config.Dir, id), temp); err != nil {
		return "", fmt.Errorf("remove checkpoint %s: %w", id, err)
	}
	delete(s.published, id)
	return temp, nil
}
