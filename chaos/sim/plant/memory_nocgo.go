//go:build !cgo

package plant

// memoryPlants need memories, which a program without cgo has none of.
var memoryPlants []Plant
