package main

import (
	"bytes"
	"errors"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// node is one value of a TOML file together with the place it was written at. The decoder of go-toml stops at the first value of a
// wrong type and knows no place for a rule of ours; this tree keeps both, so that all mistakes can be told at once.
type node struct {
	kind  unstable.Kind // String, Integer, Bool, Array, Table or another
	pos   Position      // where the value begins; for a table, its header
	key   Position      // where its key begins
	text  string        // a string's content, else what was written
	raw   string        // what was written, for scalars
	items []*node       // of an array, or of an array of tables
	keys  map[string]*node
	order []string // the keys in the order of the file
}

// parseTree reads a TOML text. Text that is no TOML, or that defines a key twice, gives the one mistake found.
func parseTree(data []byte) (*node, *Mistake) {
	var ignored map[string]any
	if err := toml.Unmarshal(data, &ignored); err != nil {
		return nil, syntaxMistake(data, err)
	}
	t := tree{data: data, lines: lineStarts(data), root: newTable(Position{1, 1})}
	t.parser.Reset(data)
	here := t.root
	for t.parser.NextExpression() {
		here = t.expression(here, t.parser.Expression())
	}
	if err := t.parser.Error(); err != nil {
		return nil, syntaxMistake(data, err)
	}
	return t.root, nil
}

type tree struct {
	data   []byte
	lines  []int // the offset of each line's first byte
	parser unstable.Parser
	root   *node
}

func lineStarts(data []byte) []int {
	starts := []int{0}
	for i, b := range data {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// expression adds one line of the file and returns the table that the next key belongs to.
func (t *tree) expression(here *node, n *unstable.Node) *node {
	switch n.Kind {
	case unstable.Table:
		return t.descend(t.root, n.Key(), false)
	case unstable.ArrayTable:
		return t.descend(t.root, n.Key(), true)
	case unstable.KeyValue:
		t.add(here, n)
	}
	return here
}

// descend walks the parts of a header, makes the tables that are missing, and for [[name]] one more of them.
func (t *tree) descend(from *node, parts unstable.Iterator, another bool) *node {
	for parts.Next() {
		part := parts.Node()
		pos := t.at(int(part.Raw.Offset))
		next := from.child(string(part.Data), pos)
		if parts.IsLast() && another {
			next.kind = unstable.Array
			next.items = append(next.items, newTable(pos))
		}
		if len(next.items) > 0 {
			next = next.items[len(next.items)-1]
		}
		from = next
	}
	return from
}

func (t *tree) add(table *node, n *unstable.Node) {
	parts := n.Key()
	for parts.Next() {
		part := parts.Node()
		pos := t.at(int(part.Raw.Offset))
		if !parts.IsLast() {
			table = table.child(string(part.Data), pos)
			continue
		}
		value := t.value(n.Value(), t.afterEquals(int(part.Raw.Offset+part.Raw.Length)))
		value.key = pos
		table.put(string(part.Data), value)
	}
}

// value copies one value; offset is where it begins, because the parser gives arrays no place of their own.
func (t *tree) value(n *unstable.Node, offset int) *node {
	v := &node{kind: n.Kind, pos: t.at(offset), text: string(n.Data), raw: string(t.parser.Raw(n.Raw))}
	children := n.Children()
	switch n.Kind {
	case unstable.Array:
		for children.Next() {
			item := children.Node()
			v.items = append(v.items, t.value(item, itemOffset(item, offset)))
		}
	case unstable.InlineTable:
		v.kind, v.keys = unstable.Table, map[string]*node{}
		for children.Next() {
			t.add(v, children.Node())
		}
	}
	return v
}

// itemOffset is where an item of an array begins; an array inside an array has no place, so it gets its parent's.
func itemOffset(item *unstable.Node, parent int) int {
	if item.Raw.Length == 0 {
		return parent
	}
	return int(item.Raw.Offset)
}

// afterEquals is the offset of the value that follows the key ending at offset.
func (t *tree) afterEquals(offset int) int {
	rest := t.data[offset:]
	return offset + len(rest) - len(bytes.TrimLeft(rest, " \t="))
}

func (t *tree) at(offset int) Position {
	line := sort.SearchInts(t.lines, offset+1)
	return Position{Line: line, Column: utf8.RuneCount(t.data[t.lines[line-1]:offset]) + 1}
}

func newTable(pos Position) *node {
	return &node{kind: unstable.Table, pos: pos, key: pos, keys: map[string]*node{}}
}

func (n *node) child(key string, pos Position) *node {
	if known := n.keys[key]; known != nil {
		return known
	}
	made := newTable(pos)
	n.put(key, made)
	return made
}

func (n *node) put(key string, v *node) {
	if n.keys == nil {
		n.keys = map[string]*node{}
	}
	n.keys[key] = v
	n.order = append(n.order, key)
}

// syntaxMistake words what go-toml found. Its message holds single characters of the file and names of keys, never a value.
func syntaxMistake(data []byte, err error) *Mistake {
	m := &Mistake{Position: Position{1, 1}, Must: "this is not TOML: " + strings.TrimPrefix(err.Error(), "toml: ") +
		"; write key = value, text in \"quotes\", and each key once"}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		row, column := decode.Position()
		m.Position = Position{row, characters(data, row, column)}
	}
	return m
}

// characters turns a column in bytes into one in characters.
func characters(data []byte, row, column int) int {
	lines := bytes.Split(data, []byte("\n"))
	if row < 1 || row > len(lines) || column < 1 {
		return 1
	}
	line := lines[row-1]
	return utf8.RuneCount(line[:min(column-1, len(line))]) + 1
}
