package lockstep_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^)#]+)\)`)
	namedFile    = regexp.MustCompile("`([a-z]+/[A-Za-z0-9_./-]+)`")
)

// documents are the texts that people read first.
func documents(t *testing.T) []string {
	t.Helper()
	records, err := filepath.Glob("docs/adr/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(records, "README.md", "DESIGN.md", "CHANGELOG.md")
}

// A document must not link to a file that isn't there.
func TestDocumentsLinkToWhatExists(t *testing.T) {
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range markdownLink.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), link[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, link[1], err)
			}
		}
	}
}

// What a document names in a folder of this module must be there.
func TestDocumentsNameWhatExists(t *testing.T) {
	named := 0
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range namedFile.FindAllStringSubmatch(string(text), -1) {
			folder, _, _ := strings.Cut(match[1], "/")
			if _, err := os.Stat(folder); err != nil {
				continue // application/json, not a folder of ours
			}
			named++
			if _, err := os.Stat(match[1]); err != nil {
				t.Errorf("%s names %s: %v", name, match[1], err)
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d names were looked at", named)
	}
}
