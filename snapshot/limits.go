package snapshot

// Hard limits of the format. Every length that is read from a disk or from a peer is compared with one of these, and with
// the length of the file or stream it stands in, before anything is allocated or read by it.
const (
	// PageSize is the size of a stored page in bytes. It equals memstore.PageSize; the two are compared by fsm's tests.
	PageSize = 4096
	// MaxManifestBytes bounds the manifest, in a folder and in a stream.
	MaxManifestBytes = 64 << 20
	// MaxTableBytes bounds the state's table.
	MaxTableBytes = 1 << 30
	// MaxMemories bounds the memories of one checkpoint.
	MaxMemories = 1 << 18
	// MaxLayers bounds the files of one memory: a base and its overlays.
	MaxLayers = 64
	// MaxNameBytes bounds the name of a memory, and that of a cluster.
	MaxNameBytes = 256
	// MaxMemoryPages bounds a memory: 512 GiB, which is above the largest stable memory of the Internet Computer.
	MaxMemoryPages = 1 << 27
	// MaxServers bounds the servers of a raft configuration, MaxServerBytes an identifier or address in it.
	MaxServers     = 1 << 10
	MaxServerBytes = 1 << 10
	// MaxStreamBytes is the most that is accepted from a peer when Config.MaxBytes is zero: 1 TiB.
	MaxStreamBytes = 1 << 40
)

// Format versions. A reader refuses a version that it does not know, by number.
const (
	manifestVersion = 3
	pageFileVersion = 1
	treeFileVersion = 1
	streamVersion   = 2
)

// Names inside a checkpoint folder. A page file is named after its digest, see FileEntry.Name.
const (
	manifestName   = "manifest"
	tableName      = "table"
	reasonName     = "REASON"
	pageFileSuffix = ".pages"
	treeFileSuffix = ".tree"
)
