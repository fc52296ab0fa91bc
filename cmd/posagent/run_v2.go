package main

// refuseV2 stands in newAgent's list until the daemon speaks API v2. check, and what reads the configuration, take it already.
func (a *agent) refuseV2(agentOptions) error {
	if a.cfg.WeChat.API != "v2" {
		return nil
	}
	return &Failure{Code: ExitUsage, What: "api = \"v2\": the daemon of this build does not speak API v2 yet",
		Next: "write api = \"v3\" in the [wechat] section; posagent check says what that needs"}
}
