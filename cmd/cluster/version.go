package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print what this program was built from",
		Example: "  cluster version --json",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return buildVersion().print(c.OutOrStdout(), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// version is what the build recorded about itself; fields that it did not are empty.
type version struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Raft     string `json:"raft"`
	Wasmtime string `json:"wasmtime"`
}

func buildVersion() version {
	v := version{Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Module, v.Version = info.Main.Path, info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	for _, dep := range info.Deps {
		switch dep.Path {
		case "github.com/hashicorp/raft":
			v.Raft = dep.Version
		case "github.com/bytecodealliance/wasmtime-go/v39":
			v.Wasmtime = dep.Version
		}
	}
	return v
}

func (v version) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(v)
	}
	revision := v.Revision
	if v.Modified {
		revision += " (modified)"
	}
	_, err := fmt.Fprintf(w, "%s %s %s\n%s %s, raft %s, wasmtime-go %s\n", v.Module, v.Version, revision, v.Go, v.Platform, v.Raft, v.Wasmtime)
	return err
}
