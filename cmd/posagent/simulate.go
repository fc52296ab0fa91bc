package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/wxsim"
)

// simulateFlags are simulate's own flags.
type simulateFlags struct{ dir, listen, account, books, api string }

func simulateCommand(p *program) *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Simulated WeChat Pay alone, for trial installs and till software",
		Long: "Simulated WeChat Pay alone (API v3 Global and API v2 at one address, TLS, signed), for trial installs and till software.\n" +
			"API v2 has the same orders and wallets; its reverse and refund want the client certificate.\n" + scenarioText(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.runSimulate(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.dir, "dir", "posagent-trial", "`FOLDER` for the credentials that a trial till uses")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:7443", "`ADDRESS` to listen on")
	apiFlag(cmd, &f.api, "the configuration that is shown is for this `API`: v3 or v2; both are served")
	cmd.Flags().StringVar(&f.account, "account", "", "write the [wechat] section to use to this `FILE` once it listens")
	cmd.Flags().StringVar(&f.books, "books", "", "write the books to this `FILE`, as JSON, at the end")
	return cmd
}

func (p *program) runSimulate(ctx context.Context, f simulateFlags) error {
	api, err := parseAPI(f.api)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return err
	}
	t, err := openTrialAt(dir, f.listen, api)
	if err != nil {
		return &Failure{Code: ExitFailed, What: err.Error(), Next: "choose another address with --listen, or another folder with --dir", Err: err}
	}
	defer t.close()
	fmt.Fprintf(p.stdout, "Simulated WeChat Pay listens on %s, with API v3 Global and API v2. The configuration to use:\n\n[wechat]\n%s\n", t.url, t.account())
	_, _ = io.WriteString(p.stdout, scenarioText())
	if f.account != "" {
		if err := os.WriteFile(f.account, []byte(t.account()), 0o600); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return t.writeBooks(f.books)
}

// apiFlag is the flag that chooses between WeChat Pay's two APIs.
func apiFlag(cmd *cobra.Command, api *string, usage string) {
	cmd.Flags().StringVar(api, "api", string(payflow.APIv3), usage)
}

func parseAPI(text string) (payflow.API, error) {
	switch api := payflow.API(text); api {
	case payflow.APIv3, payflow.APIv2:
		return api, nil
	}
	return "", &Failure{Code: ExitUsage, What: fmt.Sprintf("--api %.20q is neither \"v3\" nor \"v2\"", text), Next: "write --api v3 or --api v2"}
}

// scenarioText is the table of wallets and faults, as simulate and demo print it, and how a code or an amount chooses from it.
func scenarioText() string {
	return "A payment code 130000, ten digits as one likes, and the two digits of a line chooses what happens; so does the amount beside them.\n" +
		"Any other code with any other amount pays at once.\n\n" + wxsim.Table()
}
