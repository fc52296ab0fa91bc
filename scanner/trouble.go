package scanner

// TroubleCode is a stable name of what is wrong, for programs: page, warnings and scripts choose their words by it.
type TroubleCode string

// What can be wrong with a device.
const (
	TroubleNotThere     TroubleCode = "not_there"      // no such device; or it was unplugged
	TroubleSwapped      TroubleCode = "swapped"        // no such device, but another scanner is plugged in
	TroubleNoPermission TroubleCode = "no_permission"  // the node is there, and opening it is not allowed
	TroubleBusy         TroubleCode = "busy"           // another program holds it
	TroubleBroken       TroubleCode = "broken"         // it is there and opening or reading it fails
	TroubleNotSerial    TroubleCode = "not_serial"     // the path is no serial port, or the port refuses the settings
	TroubleManyFiles    TroubleCode = "too_many_files" // the process has so many files open that a port cannot be read safely
	TroubleNoHID        TroubleCode = "no_hid_support" // this program was built without HID support
	TroubleAmbiguous    TroubleCode = "ambiguous"      // several devices match the configuration
	TroubleKeyboard     TroubleCode = "keyboard"       // the match is a keyboard, and the configuration does not name it as one
	TroubleNoInterface  TroubleCode = "no_interface"   // the device has no interface of the configured mode
	TroubleHung         TroubleCode = "hung"           // a call into its driver does not come back
	TroubleKeyHeld      TroubleCode = "key_held"       // it is a keyboard and a key is down, so it cannot be taken over yet
	TroubleTooLong      TroubleCode = "too_long"       // more characters without a pause than any code has
	TroubleGarbled      TroubleCode = "garbled"        // the device reported that it lost keys, or a report made no sense
	TroubleEnded        TroubleCode = "ended"          // a source with an end has reached it
)

// Trouble says why a device is not ready or why something was dropped: a code for programs and two sentences for people.
// It holds no character of a scan.
type Trouble struct {
	Code TroubleCode
	What string // what happened
	Next string // what to do now
}

// Error returns both sentences.
func (t *Trouble) Error() string { return t.What + "; " + t.Next }

// settles reports troubles that udev or another program may end by itself shortly after a device was plugged in.
func (t *Trouble) settles() bool {
	return t.Code == TroubleNoPermission || t.Code == TroubleBusy || t.Code == TroubleBroken || t.Code == TroubleKeyHeld
}
