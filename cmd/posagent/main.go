// Command posagent is the till agent for WeChat Pay: it wires the parts together, reads the configuration, and holds the sub-commands,
// each in a file of its own. It decides nothing about money; payflow does.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // a store PC may have no time zone table of its own
)

func main() {
	ensureProcessors()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
