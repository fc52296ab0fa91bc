package payflow

// RefundStep returns the refund after e, and what to do next. It reads no clock: time arrives in e.At. The engine must commit the
// refund before it carries out any command (invariant I1). An event that does not fit the refund changes nothing.
func RefundStep(r Refund, e RefundEvent) (Refund, []RefundCommand) {
	return r, nil
}
