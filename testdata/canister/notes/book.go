//go:build wasip1

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// A Note is one entry of the notebook, as replies show it.
type Note struct {
	ID    int      `json:"id"`
	Title string   `json:"title"`
	Text  string   `json:"text,omitempty"`
	Tags  []string `json:"tags,omitempty"`
	Time  int64    `json:"time"` // when it was added: nanoseconds since 1970, of the round
}

// A Draft is what add and edit are given. For add the ID is ignored; for edit a nil field is one that stays as it is.
type Draft struct {
	ID    int       `json:"id"`
	Title *string   `json:"title"`
	Text  *string   `json:"text"`
	Tags  *[]string `json:"tags"`
}

// Counts is the reply to stats.
type Counts struct {
	Notes int            `json:"notes"`
	Words int            `json:"words"`
	Tags  map[string]int `json:"tags"`
}

// A Book holds notes by id, and for every word the ids of the notes that have it. Answers never depend on the order in which
// Go walks a map.
type Book struct {
	notes map[int]*Note
	words map[string]map[int]bool
	next  int
}

// NewBook returns an empty book whose first note will have the id 1.
func NewBook() *Book {
	return &Book{notes: map[int]*Note{}, words: map[string]map[int]bool{}, next: 1}
}

// Add stores a new note.
func (b *Book) Add(d Draft, time int64) (Note, error) {
	note := &Note{ID: b.next, Time: time}
	note.apply(d)
	if note.Title == "" {
		return Note{}, errors.New("a note needs a title")
	}
	b.next++
	b.notes[note.ID] = note
	b.index(note)
	return *note, nil
}

// Edit changes the fields that the draft has.
func (b *Book) Edit(d Draft) (Note, error) {
	note, ok := b.notes[d.ID]
	if !ok {
		return Note{}, noSuchNote(d.ID)
	}
	if d.Title != nil && *d.Title == "" {
		return Note{}, errors.New("a note needs a title")
	}
	b.unindex(note)
	note.apply(d)
	b.index(note)
	return *note, nil
}

// Remove takes a note out of the book and returns it.
func (b *Book) Remove(id int) (Note, error) {
	note, ok := b.notes[id]
	if !ok {
		return Note{}, noSuchNote(id)
	}
	b.unindex(note)
	delete(b.notes, id)
	return *note, nil
}

// Get returns one note.
func (b *Book) Get(id int) (Note, error) {
	note, ok := b.notes[id]
	if !ok {
		return Note{}, noSuchNote(id)
	}
	return *note, nil
}

// Tagged returns the notes with a tag, or all for the empty tag, by id.
func (b *Book) Tagged(tag string) []Note {
	found := []Note{}
	for _, id := range slices.Sorted(maps.Keys(b.notes)) {
		if note := b.notes[id]; tag == "" || slices.Contains(note.Tags, tag) {
			found = append(found, *note)
		}
	}
	return found
}

// Find returns the notes that have every word of the query in title or text, by id.
func (b *Book) Find(query string) []Note {
	found := []Note{}
	words := wordsOf(query)
	if len(words) == 0 {
		return found
	}
	for _, id := range slices.Sorted(maps.Keys(b.words[words[0]])) {
		hasAll := !slices.ContainsFunc(words, func(word string) bool { return !b.words[word][id] })
		if hasAll {
			found = append(found, *b.notes[id])
		}
	}
	return found
}

// Stats counts what the book holds. (encoding/json writes maps in order of their keys.)
func (b *Book) Stats() Counts {
	counts := Counts{Notes: len(b.notes), Words: len(b.words), Tags: map[string]int{}}
	for _, note := range b.notes {
		for _, tag := range note.Tags {
			counts.Tags[tag]++
		}
	}
	return counts
}

func (b *Book) index(note *Note) {
	for _, word := range wordsOf(note.Title + " " + note.Text) {
		ids := b.words[word]
		if ids == nil {
			ids = map[int]bool{}
			b.words[word] = ids
		}
		ids[note.ID] = true
	}
}

func (b *Book) unindex(note *Note) {
	for _, word := range wordsOf(note.Title + " " + note.Text) {
		delete(b.words[word], note.ID)
		if len(b.words[word]) == 0 {
			delete(b.words, word)
		}
	}
}

func (n *Note) apply(d Draft) {
	if d.Title != nil {
		n.Title = *d.Title
	}
	if d.Text != nil {
		n.Text = *d.Text
	}
	if d.Tags != nil {
		n.Tags = slices.Compact(slices.Sorted(slices.Values(*d.Tags)))
	}
}

// wordsOf lists the distinct words of a text in lower case, sorted.
func wordsOf(text string) []string {
	notInWord := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	words := strings.FieldsFunc(strings.ToLower(text), notInWord)
	slices.Sort(words)
	return slices.Compact(words)
}

func noSuchNote(id int) error { return fmt.Errorf("no note with id %d", id) }
