// Package rig builds, boots and drives a virtual machine in which emulated scanners are plugged in, read and pulled out,
// while the real daemon takes payments from simulated WeChat Pay inside the same machine.
//
// [Prepare] makes the parts out of Debian's packages and this module: a kernel with the drivers that scanners need, and a
// file system in memory with posagent and the program in rig/guest, which is process 1 there. [Boot] starts QEMU in
// software emulation, without root, network or disk. A [Machine] has a line to the guest ([Machine.Ask], the messages are
// in line.go), QEMU's monitor, which types on a USB keyboard and plugs USB devices, and the far end of a USB serial
// adapter. What the tests prove by it is told in docs/rig.md.
package rig
