package wxsim

// billV2 is still to come.
func (s *Sim) billV2(v *visit) reply {
	return *malformed("No Bill Exist", "")
}
