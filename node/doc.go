// Package node.
package node
