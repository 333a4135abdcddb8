package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// evidenceFormat is the version of report.json.
const evidenceFormat = 1

// rootsInEvidence is the number of own roots kept in a report, up to the round in question and after it.
const rootsInEvidence = 256

// Evidence is report.json: what a replica knew when it found that its state was not the attested one. The checkpoints and the
// log that it names are left as they are.
type Evidence struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	// Round is the round after which the states differ for the first time that was compared; FoundAt is the round that
	// carried the attestation.
	Round   uint64 `json:"round"`
	FoundAt uint64 `json:"found_at"`
	// Own and Attested are the two roots.
	Own      string    `json:"own"`
	Attested string    `json:"attested"`
	Found    time.Time `json:"found"`
	Term     uint64    `json:"term"`
	// Roots are this replica's roots of the rounds around Round.
	Roots []RootReport `json:"roots"`
	// Tracker, OptLevel and Versions are what may have made the difference.
	Tracker  string            `json:"tracker"`
	OptLevel string            `json:"opt_level"`
	Versions map[string]string `json:"versions"`
	// Checkpoints describes the checkpoints; CheckpointDir and Log are where they and the log lie.
	Checkpoints   CheckpointStatus `json:"checkpoints"`
	CheckpointDir string           `json:"checkpoint_dir"`
	Log           string           `json:"log"`
}

func (n *Node) evidence(d *fsm.DivergedError, term uint64, checkpoints CheckpointStatus) *Evidence {
	from := fsm.RoundNumber(1)
	if d.Round > rootsInEvidence/2 {
		from = d.Round - rootsInEvidence/2
	}
	return &Evidence{Format: evidenceFormat, Cluster: n.cfg.ClusterID, Node: n.cfg.ID,
		Round: uint64(d.Round), FoundAt: uint64(d.FoundAt), Own: d.Own.String(), Attested: d.Attested.String(),
		Found: time.Now(), Term: term, Roots: rootReports(n.machine().Roots(from, rootsInEvidence)),
		Tracker: string(n.cfg.Tracker), OptLevel: string(n.cfg.OptLevel), Versions: versions(), Checkpoints: checkpoints}
}

// versions lists the Go release and the modules of this program.
func versions() map[string]string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	out := map[string]string{"go": info.GoVersion, info.Main.Path: info.Main.Version}
	for _, m := range info.Deps {
		out[m.Path] = m.Version
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs.") {
			out[s.Key] = s.Value
		}
	}
	return out
}

// keepEvidence writes the report and gives its folder.
func keepEvidence(dir *dataDir, e *Evidence) (string, error) {
	folder := dir.file(evidenceDir, fmt.Sprintf("round-%d", e.Round))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return folder, err
	}
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return folder, err
	}
	return folder, writeFileSynced(filepath.Join(folder, "report.json"), append(text, '\n'))
}

// KnownDivergenceError reports that a data folder holds the evidence of an earlier divergence: its state is not to be trusted,
// so the replica is not started.
type KnownDivergenceError struct {
	*fsm.DivergedError
	// Report is the path of the evidence.
	Report string
}

func (e *KnownDivergenceError) Error() string {
	return fmt.Sprintf("%s; the evidence is in %s: to rejoin the cluster, move the data folder away and start with an empty one",
		e.DivergedError.Error(), e.Report)
}

// Unwrap makes the error a *fsm.DivergedError.
func (e *KnownDivergenceError) Unwrap() error { return e.DivergedError }

// findEvidence looks for the report of an earlier divergence.
func findEvidence(dir *dataDir) (*KnownDivergenceError, error) {
	folders, err := os.ReadDir(dir.file(evidenceDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for evidence: %w", err)
	}
	for _, f := range folders {
		path := dir.file(evidenceDir, f.Name(), "report.json")
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read evidence: %w", err)
		}
		found, err := readEvidence(text)
		if err != nil {
			return nil, fmt.Errorf("read evidence %s: %w", path, err)
		}
		return &KnownDivergenceError{DivergedError: found, Report: path}, nil
	}
	return nil, nil
}

func readEvidence(text []byte) (*fsm.DivergedError, error) {
	var e Evidence
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	own, err := pagetrie.ParseHash(e.Own)
	if err != nil {
		return nil, err
	}
	attested, err := pagetrie.ParseHash(e.Attested)
	if err != nil {
		return nil, err
	}
	return &fsm.DivergedError{Round: fsm.RoundNumber(e.Round), Own: own, Attested: attested, FoundAt: fsm.RoundNumber(e.FoundAt)}, nil
}
