package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posagent/till"
)

// tokenShown is a token as a command prints it. Its text stands in it once, when it is made.
type tokenShown struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Scopes  []till.Scope `json:"scopes"`
	Created time.Time    `json:"created"`
	Token   string       `json:"token,omitempty"`
}

func tokenCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens of till software",
		Long: "A token lets a program use the local API over TCP. It is shown once, when it is made, and kept as a hash; a program that lost its token\n" +
			"gets a new one. The running service sees a change at once. Programs of this PC that may open the unix socket need none.",
	}
	cmd.AddCommand(tokenAddCommand(p), tokenListCommand(p), tokenRevokeCommand(p))
	return cmd
}

func tokenAddCommand(p *program) *cobra.Command {
	var scopes []string
	cmd := &cobra.Command{
		Use:     "add NAME --scope pay,refund",
		Short:   "Make a token for a program, and show it this once",
		Example: "  posagent token add \"till software\" --scope pay\n  posagent token add \"head office\" --scope report --json",
		Long: "Makes a token for the program NAME; the journal records what it asks for under that name. Scopes, none of which contains another:\n" +
			"pay (take payments, cancel, acknowledge, set aside), refund (give money back), report (read payments and the journal), admin (this till's set-up).",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.tokenAdd(args[0], scopes) },
	}
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "what it opens: `SCOPES` out of pay, refund, report, admin (required)")
	return cmd
}

func tokenListCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens with their ids and scopes, never the tokens themselves",
		RunE:  func(*cobra.Command, []string) error { return p.tokenList() },
	}
}

func tokenRevokeCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a token: it opens nothing from then on",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return p.tokenRevoke(args[0]) },
	}
}

// openTokens opens the tokens file that the configuration names.
func (p *program) openTokens() (*till.Tokens, string, error) {
	cfg, err := p.config()
	if err != nil {
		return nil, "", err
	}
	tokens, err := till.OpenTokens(cfg.API.TokensFile)
	return tokens, cfg.API.TokensFile, peopleFileFailure(err)
}

// peopleFileFailure words an error of the tokens file or the operators file.
func peopleFileFailure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return &Failure{What: err.Error(), Next: "run the command as the service's user or as root: sudo posagent …", Err: err}
	case errors.Is(err, fs.ErrNotExist):
		return &Failure{What: err.Error(), Next: "make the folder, owned by the service's user, or correct the path in the configuration", Err: err}
	}
	what, next := splitAdvice(err.Error())
	return &Failure{What: what, Next: next, Err: err}
}

func (p *program) tokenAdd(name string, names []string) error {
	scopes := make([]till.Scope, len(names))
	for i, s := range names {
		scopes[i] = till.Scope(strings.TrimSpace(s))
	}
	if err := till.CheckToken(name, scopes); err != nil {
		what, next := splitAdvice(err.Error())
		return &Failure{Code: ExitUsage, What: what, Next: next, Err: err}
	}
	tokens, _, err := p.openTokens()
	if err != nil {
		return err
	}
	text, made, err := tokens.Create(name, scopes)
	if err != nil {
		return peopleFileFailure(err)
	}
	shown := showToken(made)
	shown.Token = text
	return p.print(shown, func(w io.Writer) {
		fmt.Fprintf(w, "Token %s for %s (%s):\n\n  %s\n\nIt is shown this once and kept nowhere. Give it to the program, which sends it as: Authorization: Bearer TOKEN\n",
			made.ID, made.Name, scopeNames(made), text)
	})
}

func (p *program) tokenList() error {
	tokens, file, err := p.openTokens()
	if err != nil {
		return err
	}
	list, err := tokens.List()
	if err != nil {
		return peopleFileFailure(err)
	}
	shown := make([]tokenShown, len(list))
	for i, t := range list {
		shown[i] = showToken(t)
	}
	return p.print(shown, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintf(w, "no tokens in %s: only the page and the unix socket are let in\n", file)
		}
		for _, t := range list {
			fmt.Fprintf(w, "%s  %-24s  %-24s  %s\n", t.ID, t.Name, scopeNames(t), t.Created.Format(time.DateOnly))
		}
	})
}

func (p *program) tokenRevoke(id string) error {
	tokens, _, err := p.openTokens()
	if err != nil {
		return err
	}
	gone, err := tokens.Revoke(id)
	if err != nil {
		return peopleFileFailure(err)
	}
	return p.print(showToken(gone), func(w io.Writer) {
		fmt.Fprintf(w, "token %s of %s is revoked and opens nothing any more\n", gone.ID, gone.Name)
	})
}

func showToken(t till.Token) tokenShown {
	return tokenShown{ID: t.ID, Name: t.Name, Scopes: t.Scopes, Created: t.Created}
}

func scopeNames(t till.Token) string {
	names := make([]string, len(t.Scopes))
	for i, s := range t.Scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ",")
}
