package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version is what this binary was built from, as the Go tool stamped it.
type Version struct {
	Version  string `json:"version"`            // the module's version, "(devel)" for a build from a working tree without a tag
	Revision string `json:"revision,omitempty"` // the commit
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339
	Modified bool   `json:"modified"`           // the working tree differed from the commit
	Go       string `json:"go"`
	Platform string `json:"platform"` // os/architecture
	Cgo      bool   `json:"cgo"`      // without it there are no HID scanners
}

// buildVersion reads what the Go tool wrote into the binary.
func buildVersion() Version {
	v := Version{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		v.set(s)
	}
	return v
}

func (v *Version) set(s debug.BuildSetting) {
	switch s.Key {
	case "vcs.revision":
		v.Revision = s.Value
	case "vcs.time":
		v.Time = s.Value
	case "vcs.modified":
		v.Modified = s.Value == "true"
	case "CGO_ENABLED":
		v.Cgo = s.Value == "1"
	}
}

// String is one line: posagent v1.2.3 (commit 0123456789ab, modified, go1.26, linux/amd64).
func (v Version) String() string {
	commit := "commit unknown"
	if v.Revision != "" {
		commit = "commit " + v.Revision[:min(12, len(v.Revision))]
	}
	if v.Modified {
		commit += ", modified"
	}
	return fmt.Sprintf("posagent %s (%s, %s, %s)", v.Version, commit, v.Go, v.Platform)
}

func versionCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print what this binary was built from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return p.print(v, func(w io.Writer) { fmt.Fprintln(w, v) })
		},
	}
}
