// Package configs holds the commented example configuration: every setting with its default, its bounds and what an installer must know
// about it. It is embedded, so that the program can write it, and it is the very file that the tests parse.
package configs

import _ "embed"

// Example is posagent.toml: it is complete and correct but for the shop's own names and numbers.
//
//go:embed posagent.toml
var Example string
