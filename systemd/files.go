package systemd

import _ "embed"

// File is one file to install.
type File struct {
	Name    string // as it lies in this folder
	Path    string // where it belongs on the PC
	Content string // mode 0644, owner root: nothing in it is secret
}

// The contents, as they lie in this folder.
var (
	//go:embed posagent.service
	service string
	//go:embed 70-posagent-scanner.rules
	rules string
	//go:embed posagent.sysusers
	sysusers string
	//go:embed posagent.tmpfiles
	tmpfiles string
)

// Files returns what to install, in that order: the group must be there before the rules name it, and both before the unit starts.
func Files() []File {
	return []File{
		{"posagent.sysusers", "/usr/lib/sysusers.d/posagent.conf", sysusers},
		{"posagent.tmpfiles", "/usr/lib/tmpfiles.d/posagent.conf", tmpfiles},
		{"70-posagent-scanner.rules", "/usr/lib/udev/rules.d/70-posagent-scanner.rules", rules},
		{"posagent.service", "/usr/lib/systemd/system/posagent.service", service},
	}
}

// Binary is where the unit expects the program.
const Binary = "/usr/bin/posagent"
