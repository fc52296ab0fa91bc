//go:build !fasttime

package payflow

// Pace divides every time of the rules: each constant stays as its source has it, and is divided where it stands. It is 1, and nothing
// else, in every build but those under the tag fasttime, which serve trials on real processes and never a till: a session then takes
// a second or two. A setting in a configuration file is a time of the rules too; it is divided once, where the agent hands it on.
const Pace = 1
