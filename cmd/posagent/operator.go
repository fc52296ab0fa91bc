package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posagent/till"
)

// operatorShown is an operator as a command prints one: nothing of the PIN.
type operatorShown struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Role    till.Role `json:"role"`
	Created time.Time `json:"created"`
	Waits   int       `json:"waits_seconds,omitempty"` // after wrong PINs
}

func operatorCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Add, list, change and remove the people who sign in on the page with a PIN",
		Long: "With operators set up, the page names who did what in the journal, and a refund, a set-aside and every other decision about money takes\n" +
			"a manager's PIN. Whether selling takes one too is pin_to_sell in the [operators] section. With none, the page asks for no PIN.\n\n" +
			"Roles: cashier (sells), manager (sells, and decides about money), installer (sells, to try the till, and changes its set-up).\n" +
			"A PIN has 4 to 8 digits. It is typed at the terminal unseen, or read from standard input; it never stands in an argument.",
	}
	cmd.AddCommand(operatorAddCommand(p), operatorListCommand(p), operatorPINCommand(p), operatorRoleCommand(p), operatorRemoveCommand(p))
	return cmd
}

func operatorAddCommand(p *program) *cobra.Command {
	name, role := "", string(till.RoleCashier)
	cmd := &cobra.Command{
		Use:     "add ID --name NAME [--role cashier]",
		Short:   "Add an operator, and set the PIN",
		Example: "  posagent operator add M001 --name \"Lee Ka Yan\" --role manager",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOperators(func(o *till.Operators) (till.Operator, string, error) {
				pin, err := readPIN(cmd.InOrStdin(), p.stderr)
				if err != nil {
					return till.Operator{}, "", err
				}
				made, err := o.Add(strings.ToUpper(args[0]), name, till.Role(role), pin)
				return made, "is added", err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the person's `NAME`, as the page shows it (required)")
	cmd.Flags().StringVar(&role, "role", role, "`ROLE`: cashier, manager or installer")
	return cmd
}

func operatorListCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the operators with their roles, and who waits after wrong PINs",
		RunE: func(*cobra.Command, []string) error { return p.operatorList() },
	}
}

func operatorPINCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "pin ID", Short: "Set a new PIN: it signs the operator out, and ends the wait after wrong ones",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOperators(func(o *till.Operators) (till.Operator, string, error) {
				pin, err := readPIN(cmd.InOrStdin(), p.stderr)
				if err != nil {
					return till.Operator{}, "", err
				}
				changed, err := o.SetPIN(strings.ToUpper(args[0]), pin)
				return changed, "has a new PIN", err
			})
		},
	}
}

func operatorRoleCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "role ID cashier|manager|installer", Short: "Give an operator another role, and sign the operator out",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withOperators(func(o *till.Operators) (till.Operator, string, error) {
				changed, err := o.SetRole(strings.ToUpper(args[0]), till.Role(args[1]))
				return changed, "is " + args[1] + " now", err
			})
		},
	}
}

func operatorRemoveCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "remove ID", Short: "Remove an operator: what is signed in ends at once; the journal keeps the id",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withOperators(func(o *till.Operators) (till.Operator, string, error) {
				gone, err := o.Remove(strings.ToUpper(args[0]))
				return gone, "is removed", err
			})
		},
	}
}

func (p *program) openOperators() (*till.Operators, Config, error) {
	cfg, err := p.config()
	if err != nil {
		return nil, cfg, err
	}
	operators, err := till.OpenOperators(cfg.operatorsFile())
	return operators, cfg, peopleFileFailure(err)
}

// withOperators makes one change and prints whose.
func (p *program) withOperators(change func(*till.Operators) (who till.Operator, done string, err error)) error {
	operators, _, err := p.openOperators()
	if err != nil {
		return err
	}
	who, done, err := change(operators)
	if err != nil {
		return peopleFileFailure(err)
	}
	return p.print(showOperator(who), func(w io.Writer) { fmt.Fprintf(w, "%s (%s) %s\n", who.ID, who.Name, done) })
}

func (p *program) operatorList() error {
	operators, cfg, err := p.openOperators()
	if err != nil {
		return err
	}
	list, err := operators.List()
	if err != nil {
		return peopleFileFailure(err)
	}
	waits, _ := operators.Waiting(time.Now()) // a file that can't be read keeps nobody out, so that nobody waits
	shown := make([]operatorShown, len(list))
	for i, k := range list {
		shown[i] = showOperator(k)
		shown[i].Waits = int(waits[k.ID].Round(time.Second) / time.Second)
	}
	return p.print(shown, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintf(w, "no operators in %s: the page asks for no PIN, not even for a refund\n", cfg.operatorsFile())
		}
		for _, k := range shown {
			wait := ""
			if k.Waits > 0 {
				wait = fmt.Sprintf("  waits %d s after wrong PINs", k.Waits)
			}
			fmt.Fprintf(w, "%-16s  %-9s  %s%s\n", k.ID, k.Role, k.Name, wait)
		}
	})
}

func showOperator(k till.Operator) operatorShown {
	return operatorShown{ID: k.ID, Name: k.Name, Role: k.Role, Created: k.Created}
}

// pinLineMax bounds what is read of a PIN, in bytes.
const pinLineMax = 64

// readPIN reads a PIN: at a terminal twice and unseen, else the first line of the input.
func readPIN(in io.Reader, ask io.Writer) (string, error) {
	file, ok := in.(*os.File)
	if !ok || !isTerminal(file) {
		return readPINLine(bufio.NewReader(io.LimitReader(in, pinLineMax)))
	}
	show, err := hideTyping(file)
	if err != nil {
		return "", &Failure{What: "the terminal would show the PIN: " + err.Error(), Next: "give it on standard input"}
	}
	defer show()
	typed := bufio.NewReader(file)
	fmt.Fprint(ask, "New PIN, 4 to 8 digits: ")
	pin, err := readPINLine(typed)
	fmt.Fprintln(ask)
	if err != nil {
		return "", err
	}
	if err := till.CheckPIN(pin); err != nil {
		return "", err
	}
	fmt.Fprint(ask, "The same again: ")
	again, err := readPINLine(typed)
	fmt.Fprintln(ask)
	if err == nil && again != pin {
		err = &Failure{What: "the two PINs differ", Next: "run the command again"}
	}
	return pin, err
}

func readPINLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil && line == "" {
		return "", &Failure{Code: ExitUsage, What: "no PIN was given", Next: "type it when asked, or give it on standard input"}
	}
	return strings.TrimRight(line, "\r\n"), nil
}
