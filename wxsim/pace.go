//go:build !fasttime

package wxsim

// pace divides every time that the documents give, and the scenarios' delays: 1, but under the tag fasttime, which serves trials of
// tills whose own times are divided as much.
const pace = 1
