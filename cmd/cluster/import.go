package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/chaos"
	"lockstep/node"
	"lockstep/snapshot"
)

// importOptions are the flags of `cluster import`.
type importOptions struct {
	data          string
	nodes         int
	id, clusterID string
	members       []string
}

func newImportCommand() *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:     "import CHECKPOINT --data DIR",
		Short:   "Begin a cluster from a checkpoint: after a loss, on other machines, or as a second cluster",
		GroupID: groupDisk,
		Long: `Makes data folders whose replicas all begin with one checkpoint: its state, and no log. Every byte of it is verified
and copied: no two replicas share a file. A checkpoint is a folder that can be copied with cp -r from any replica's checkpoints, also while that replica runs; of a folder with
several the newest is taken.

With --nodes the folder is that of a local cluster, which cluster run --data goes on with. With --id it is that of one replica,
for cluster node: repeat it for each member, with the same checkpoint, --cluster-id and members, before any of them is started.
The old cluster's replicas should be gone, or the new one have another name: nothing else keeps the two apart.

Exit codes: 0 made, 1 the checkpoint is damaged, 3 there is none, or the folder could not be made.`,
		Example: `  cluster import ./demo/n1 --data ./rebuilt --nodes 5
  cluster run --data ./rebuilt
  cluster import ./checkpoint-2048-2-0 --data /var/lib/lockstep --cluster-id demo --id n1 --member n2 --member n3`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return usageError(c, err)
			}
			return damageExit(o.run(c.OutOrStdout(), c.ErrOrStderr(), args[0]))
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.data, "data", "", "folder to make; it may exist if it is empty")
	f.IntVar(&o.nodes, "nodes", chaos.DefaultNodes, "number of replicas of a local cluster")
	f.StringVar(&o.id, "id", "", "name of the one replica whose folder is made")
	f.StringVar(&o.clusterID, "cluster-id", "", "with --id: name of the cluster")
	f.StringArrayVar(&o.members, "member", nil, "with --id: name of another replica; once for each")
	return c
}

func (o *importOptions) check(c *cobra.Command) error {
	var errs []error
	if o.data == "" {
		errs = append(errs, errors.New("--data is missing: name the folder to make"))
	}
	if o.id == "" && (o.clusterID != "" || len(o.members) > 0) {
		errs = append(errs, errors.New("--cluster-id and --member go with --id"))
	}
	if o.id != "" && c.Flags().Changed("nodes") {
		errs = append(errs, errors.New("--nodes makes a local cluster, --id the folder of one replica: use one of them"))
	}
	if o.id != "" && o.clusterID == "" {
		errs = append(errs, errors.New("--cluster-id is missing"))
	}
	if o.nodes < 1 || o.nodes > chaos.MaxNodes || len(o.members)+1 > chaos.MaxNodes {
		errs = append(errs, fmt.Errorf("a cluster has 1 to %d replicas", chaos.MaxNodes))
	}
	return errors.Join(errs...)
}

func (o *importOptions) run(w, notes io.Writer, from string) error {
	path, err := newestCheckpoint(notes, from)
	if err != nil {
		return err
	}
	c, err := snapshot.OpenDir(path)
	if err != nil {
		return err
	}
	round, root := c.Round, c.Root
	if err := c.Close(); err != nil {
		return err
	}
	if o.id != "" {
		members := append([]string{o.id}, o.members...)
		if err := node.Import(node.Founding{DataDir: o.data, ClusterID: o.clusterID, ID: o.id, Members: members}, path); err != nil {
			return err
		}
	} else if _, err := chaos.ImportCluster(path, o.data, o.nodes); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s begins with %s: round %d, root %s\n", o.data, path, round, root)
	if o.id == "" {
		fmt.Fprintf(w, "%d replicas; go on with: cluster run --data %s\n", o.nodes, o.data)
	}
	return nil
}
