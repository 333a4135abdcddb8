// Package snapshot writes, verifies, shares and serves checkpoints: folders of files with the whole replicated state at one
// raft log index. To raft it is a SnapshotStore.
//
//	state machine ── State ──▶ Sink.WriteState ─┐                    ┌─▶ OpenCheckpoint, FromReader ─▶ files to map
//	                                            ├─▶ temporary folder │
//	peer ── stream ──▶ Sink.Write (verified) ───┤   synced, renamed ─┤
//	peer ── delta ──▶ Transfer ── ticket ───────┘                    └─▶ Reader ── stream, delta ──▶ peer
//
// It knows pages, hashes and files; not Wasm, not rounds, and not how the state root is made. Two functions of the state
// machine's hashing are given to it in Config.Hashing.
//
// # Files
//
//	format            limits, manifest, manifest_decode, pageindex, pagefile, blocks, tree
//	a folder, opened  checkpoint, layers, stored, fault, fs, refer
//	the store         store, sink, retain, import
//	writing           state, incremental, merge, copy, beside
//	verifying         verify, prove, diff, inspect
//	between replicas  whole: stream, receive; only what lacks: have, delta, transfer, transfer_*, pagelog
//
// # Store
//
// A store is one folder, used by one process at a time:
//
//	checkpoint-INDEX-TERM-N     a complete checkpoint, N tells apart those of one log entry; only the highest N counts
//	damaged-checkpoint-...      set aside as evidence, with a file REASON; Config.KeepDamaged of them
//	transfer-INDEX-N            verified pages of transfers that were cut, of the checkpoint at INDEX
//	tmp-...                     being written or removed; deleted by OpenStore
//
// A checkpoint folder holds the manifest, the table, page files and tree files. Files are never written again once the folder has its
// name, and the name of a page file or tree file is its digest: checkpoints share the files that did not change by hard link.
//
// A store of passing checkpoints may begin with one that lies elsewhere, by symbolic links that the file layer References makes and
// follows. To every other reader a link in place of a file is damage.
//
// # Invariants
//
//   - A folder called checkpoint-... is complete and durable, whatever operation a crash falls into. Contents are synced,
//     then the names in the folder, then it is renamed, then its parent is synced. Removing goes the other way round: the
//     folder loses its name for good before it loses a file.
//   - Nothing is believed that was not checked: no length is used before it is bounded by limits.go and by the file or
//     stream it stands in, no page leaves for a peer or is kept from one without its hash being right.
//   - All-zero pages are not stored. A page that no layer of a memory names is zero.
//   - What is found damaged is never offered by List again.
//   - A checkpoint of another cluster is not used, wherever it comes from; Import gives a copy of it this cluster's name.
//   - A received checkpoint is the one that raft announced (index, term, configuration) and is not older than the newest one
//     here. No checkpoint contradicts another of the same log entry.
//
// # Opening and verifying
//
//	              manifest, table   page ranges   page hashes           trees           pages          roots of memories
//	OpenDir       SHA-256           CRC-32C       CRC-32C               SHA-256         -              -
//	Store.Open    SHA-256           CRC-32C       when used             when used       when used      topmost record, with VerifyOnUse
//	Store.Open    SHA-256           CRC-32C       CRC-32C               SHA-256         -              -                    with VerifyIndexes
//	Store.Open    SHA-256           CRC-32C       CRC-32C and SHA-256   and contents    each           each                 with VerifyPages
//	Verify        SHA-256           CRC-32C       CRC-32C and SHA-256   and contents    each           each
//	Reader        SHA-256           CRC-32C       CRC-32C               SHA-256         each           -
//	Sink.Write    SHA-256           CRC-32C       CRC-32C and SHA-256   are made        each           each
//	Receive       SHA-256           CRC-32C       CRC-32C and SHA-256   are made        each, twice    each                 also of files it had before
//	Merge         SHA-256           CRC-32C       CRC-32C               are made anew   those copied   of merged memories
//
// With VerifyOnUse the state machine is given each memory as a stored map (MemoryFile.Stored). Its root is known from one
// record and held against the manifest; a branch below it is read when a key below it matters, and must have the digest that
// the branch above has for it. The lowest stored branches are 1024 pages wide: their pages are listed from the ranges and
// their page hashes are part of the digest. So every hash that is used was verified by SHA-256 from the manifest down. Page
// bytes are mapped without being read; memstore holds them against these hashes before anything made of them is known. What
// is found damaged then sets the checkpoint aside and ends the operation with a *pagetrie.Unreadable. MemoryFile.Prove
// verifies a whole file beside all this, and Checkpoint.ProveTrees the tree files.
//
// The ranges are trusted by CRC-32C until a map is read: they say which file pages a memory maps, and a page that is touched
// is looked up in the map.
//
// Whether the state root is that of the table and the memories is for the state machine to check when it restores; it calls
// Store.SetAside if not.
//
// A hard-linked file that is damaged is damaged in every checkpoint that shares it. The next older checkpoint helps against
// a damaged manifest, table or newest overlay; against a damaged base a peer helps.
//
// # Incremental checkpoints
//
// The first checkpoint of a memory is one base file. Later ones add an overlay with the pages that changed, found from
// Memory.Changes if the state machine gives them, by comparing page hashes otherwise. A memory is written as a base again if
// nearly all of it changed, or if it is so small that this costs next to nothing.
//
// Merging keeps a size pyramid. After a local checkpoint, a memory whose overlays together exceed 45 % of its base, or would with
// one more like the newest, gets a new base; one with MaxOverlays overlays has the newest of them merged. The result is the same state under the next N, published
// like any checkpoint. Bounds, counted by TestPyramid, TestDiskStaysWithinBound and TestCheckpointCostsWhatChanged:
//
//   - files: at most MaxOverlays + 1 for a memory after a merge, never more than MaxLayers;
//   - bytes written by a checkpoint: changed pages x 4 KiB x 1.05 + 64 KiB + table, and 80 bytes of manifest for each layer
//     where those are more than 12 KiB together. Tree records are 48 bytes for each 4 MiB with changes, and few above;
//   - bytes written by merges: at most 3 times the pages changed, for memories up to 2000 times larger than one change set;
//   - disk: at most 2.5 times the state with indexes and everything that is there while a merge publishes, with Keep 2 and change
//     sets alike of up to a ninth of the state; 2.45 + c with a largest change set of c states, whatever the others are.
//
// No rule for when to merge keeps 2.5 for larger change sets while merges write at most 3 times what changed, a checkpoint writes
// only what changed, and a base is one file. While a base of 1 is merged, the old one, its overlays of o and the new one are there:
// 2 + o, and dropping the older checkpoint first frees nothing, since the newer one shares its files. So 2.5 wants o <= 1/2, and
// merges that write 1 for every o want o >= 1/3 on the average. With equal change sets of c, o is a multiple of c: none lies between
// for c in (1/4, 1/3) and for c > 1/2. With unequal ones, a rule that has waited until o = 1/3, as it must, meets any c > 1/6; and waiting
// on only adds to o. What would help: bases in parts, each merged by itself, with the older checkpoint put on the new base too, by
// an overlay of the pages that it had; or holes punched into a base, which not every file system has.
//
// # Manifest
//
// Integers are little-endian. C is the end of the servers, M the end of the memories.
//
//	offset  size  field               meaning
//	0       8     magic               "LSCHECK\x01"
//	8       4     version             3
//	12      4     reserved            0
//	16      8     length              of the manifest, with checksum; at most MaxManifestBytes
//	24      8     index               of the last raft log entry in the state
//	32      8     term                of that entry
//	40      8     configuration index of the raft configuration below
//	48      8     round               last round in the state
//	56      32    root                of the replicated state
//	88      8     table length        at most MaxTableBytes
//	96      32    table digest        SHA-256("lockstep state table\0", table)
//	128     4     page size           4096
//	132     4     servers             at most MaxServers
//	136     4     memories            at most MaxMemories
//	140     4     tree files
//	144           cluster             its length (2), at most MaxNameBytes, and the name; no bytes for none
//	              servers             one after the other, as below
//	C             tree files          40 bytes each, in the order in which layers first name them: number of records (4),
//	                                  reserved (4), digest (32): SHA-256("lockstep tree file\0", the file)
//	              memories            ascending by name, as below
//	M       32    checksum            SHA-256("lockstep checkpoint manifest\0", bytes 0 to M)
//
// A server: suffrage (1), length of identifier (2), identifier, length of address (2), address.
//
// A memory, with L layers and a name of N bytes:
//
//	offset  size  field               meaning
//	0       8     size                in pages, at most MaxMemoryPages
//	8       32    root                of the memory
//	40      4     layers              at most MaxLayers, oldest first; 0 for a memory that is zero
//	44      4     name length         1 to MaxNameBytes
//	48      N     name
//	48+N    80xL  layers              as below
//
// A layer:
//
//	offset  size  field               meaning
//	0       8     length              of the page file
//	8       8     pages               stored in it
//	16      8     born                raft index of the checkpoint that wrote it; nothing depends on it
//	24      4     index sum           CRC-32C of the file's index
//	28      4     range sum           CRC-32C of the index without the hashes
//	32      32    digest              SHA-256("lockstep page file\0", index); in hexadecimal, with ".pages", the file's name
//	64      4     tree file           number in the list above, from 1; 0 in a stream
//	68      4     first record        of the layer in that file
//	72      4     records
//	76      4     reserved            0
//
// # Page file
//
// Pages come first so that they lie on page boundaries and can be mapped. D pages are stored, the index has R ranges.
//
//	offset        size   field        meaning
//	0             4096xD pages        in the order of the ranges
//	4096xD        16xR   ranges       as below; the index begins here
//	  + 16xR      32xD   hashes       of the pages, in their order
//	  + 32xD      8      magic        "LSPAGES\x01"
//	  + 8         4      version      1
//	  + 4         4      page size    4096
//	  + 4         8      pages        D
//	  + 8         8      zero pages   declared zero by ranges of kind 1
//	  + 8         8      ranges       R
//
// A range: first page (8), count (4), kind (4): 0 stored, 1 zero. Ranges ascend, do not overlap, and neighbours of one kind
// are joined, so that one set of pages has one encoding. Kind 1 hides a page of an older layer; the oldest layer has none.
//
// # Tree file
//
// For every region of 32^2 to 32^6 pages that a layer names pages of, a record of what the memory had in it when the layer was
// the newest. For a region, the record of the newest layer that names pages of it decides. A checkpoint writes at most one
// tree file, for its new layers; a merge makes the records of the merged layer anew.
//
//	offset  size  field               meaning
//	0       8     magic               "LSTREE\x00\x01"
//	8       4     version             1
//	12      4     reserved            0
//	16      48xN  records             of each layer: the largest regions first, then ascending
//
// A record:
//
//	offset  size  field               meaning
//	0       4     base                branch: its prefix, which lies in the region; otherwise the region's first page
//	4       4     pages               in the region
//	8       1     level               2 to 6
//	9       1     shift               of the branch
//	10      1     kind                1: the pages are a branch of pagetrie; 0: they are too few, or one leaf
//	11      1     reserved            0
//	12      4     sum                 CRC-32C of the other 44 bytes
//	16      32    digest              of the branch, as pagetrie/FORMAT.md has it; 0 without one
//
// # Stream
//
// What a Reader yields and a Sink takes: the checkpoint with every memory as one file.
//
//	offset  size  field               meaning
//	0       8     magic               "LSSTREAM"
//	8       4     version             2
//	12      4     manifest length     1 to MaxManifestBytes
//	16            manifest            of the checkpoint with one layer for each memory, and no tree files
//	              table
//	              page files          in the order of the manifest: index, then pages
//
// Two checkpoints of one state at one log entry have the same stream, whatever their layers. Transfer relies on it: a follower
// says which pages it has (Have), is sent the others (WriteDelta, whose format is in delta.go), and puts together a folder with
// the leader's stream. A Sink takes that folder for a ticket (transfer_ticket.go). Pages of a transfer that was cut wait in files
// transfer-... of the store's folder, format in pagelog.go.
//
// # Goroutines
//
// Whatever hashes pages does so on up to GOMAXPROCS goroutines that end with the call; a merge uses one. The Close of a local
// checkpoint starts at most one goroutine that merges; it ends with the merge, and Store.Close waits for it. WriteState and Merge
// run on threads of low priority (beside.go) and let other goroutines run after every 250 us of work: rounds go first.
//
// # Sources
//
// The layered page files and the pyramid are after the Internet Computer's overlay files (dfinity/ic, rs/state_layout and
// rs/replicated_state/src/page_map/storage.rs); O'Neil et al., "The log-structured merge-tree", 1996; the order of syncs is
// that of Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014; raft's demands are those of
// hashicorp/raft 1.7.3, snapshot.go and replication.go.
package snapshot
