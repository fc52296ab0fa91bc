package rig

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
)

// need is a program that the rig runs, and the Debian package that has it.
type need struct{ program, packaged string }

var needs = []need{
	{"qemu-system-x86_64", "qemu-system-x86"},
	{"apt-get", "apt"}, {"apt-cache", "apt"}, {"dpkg-deb", "dpkg"}, {"xz", "xz-utils"}, {"ldd", "libc-bin"}, {"gcc", "gcc"},
}

// Missing says what this machine lacks to run the rig, and what to install; "" where it lacks nothing.
func Missing() string {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Sprintf("the rig runs on Debian for amd64, and this is %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	var programs, packages []string
	for _, n := range needs {
		if _, err := exec.LookPath(n.program); err != nil {
			programs, packages = append(programs, n.program), append(packages, n.packaged)
		}
	}
	if programs == nil {
		return ""
	}
	return fmt.Sprintf("the rig needs %s; on Debian: apt-get install --no-install-recommends %s", strings.Join(programs, ", "), strings.Join(packages, " "))
}
