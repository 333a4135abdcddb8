package history

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"lockstep/pagetrie"
)

// RootRow is one round of the table of roots: what each replica found last.
type RootRow struct {
	Round, Index uint64
	// Roots are the replicas' roots, in their order; zero for one that has not applied the round.
	Roots []pagetrie.Hash
}

// Agrees reports whether no two replicas have different roots.
func (r *RootRow) Agrees() bool {
	var first pagetrie.Hash
	for _, root := range r.Roots {
		switch {
		case root == pagetrie.Hash{}:
		case first == pagetrie.Hash{}:
			first = root
		case root != first:
			return false
		}
	}
	return true
}

// RootTable is the table of a history: a row for each round that a replica has applied, ascending. Rounds may be missing.
func (l *Log) RootTable() []RootRow {
	var rows []RootRow
	place := map[uint64]int{}
	for i := range l.Events {
		e := &l.Events[i]
		if e.Kind != Applied {
			continue
		}
		at, ok := place[e.Round]
		if !ok {
			at = len(rows)
			place[e.Round] = at
			rows = append(rows, RootRow{Round: e.Round, Index: e.Index, Roots: make([]pagetrie.Hash, l.Header.Replicas)})
		}
		if root := &rows[at].Roots[e.Node-1]; *root == (pagetrie.Hash{}) || rows[at].Agrees() {
			*root = e.Root
		}
	}
	sortRows(rows)
	return rows
}

// WriteRoots writes the table as CSV: round, index, whether the roots agree, and a root for each replica.
func WriteRoots(w io.Writer, replicas int, rows []RootRow) error {
	out := csv.NewWriter(w)
	head := []string{"round", "index", "agree"}
	for n := range replicas {
		head = append(head, fmt.Sprintf("root_%d", n+1))
	}
	if err := out.Write(head); err != nil {
		return err
	}
	line := make([]string, len(head))
	for i := range rows {
		r := &rows[i]
		line[0], line[1] = strconv.FormatUint(r.Round, 10), strconv.FormatUint(r.Index, 10)
		line[2] = strconv.FormatBool(r.Agrees())
		for n, root := range r.Roots {
			line[3+n] = ""
			if root != (pagetrie.Hash{}) {
				line[3+n] = root.String()
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// ReadRoots reads what WriteRoots writes. Errors wrap ErrBad.
func ReadRoots(r io.Reader) ([]RootRow, error) {
	in := csv.NewReader(bufio.NewReader(r))
	in.ReuseRecord = true
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("roots: %w: %w", ErrBad, err)
	}
	replicas := len(head) - 3
	if replicas < 1 || replicas > MaxReplicas || head[0] != "round" {
		return nil, fmt.Errorf("roots: %w: the first line is not round,index,agree,root_1,…", ErrBad)
	}
	var rows []RootRow
	for {
		line, err := in.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("roots: %w: %w", ErrBad, err)
		}
		row, err := readRow(line)
		if err != nil {
			at, _ := in.FieldPos(0)
			return nil, fmt.Errorf("roots:%d: %w: %w", at, ErrBad, err)
		}
		rows = append(rows, row)
	}
}

func readRow(line []string) (RootRow, error) {
	round, err := strconv.ParseUint(line[0], 10, 64)
	index, err2 := strconv.ParseUint(line[1], 10, 64)
	if err = errors.Join(err, err2); err != nil {
		return RootRow{}, err
	}
	row := RootRow{Round: round, Index: index, Roots: make([]pagetrie.Hash, len(line)-3)}
	for n, text := range line[3:] {
		if err := readRoot(text, &row.Roots[n]); err != nil {
			return RootRow{}, err
		}
	}
	if want := strconv.FormatBool(row.Agrees()); line[2] != want {
		return RootRow{}, fmt.Errorf("agree is %.10q, the roots say %s", line[2], want)
	}
	return row, nil
}

func sortRows(rows []RootRow) {
	slices.SortFunc(rows, func(a, b RootRow) int { return cmp.Compare(a.Round, b.Round) })
}
