package main

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func initCommand(p *program) *cobra.Command {
	o := browserTill{root: "/"}
	page := ""
	cmd := &cobra.Command{
		Use:   "init --browser-till URL",
		Short: "Let the browsers of this PC call posagent from a till that is a web page",
		Long: "Writes the managed policies that let the page of URL, and no other, call posagent on this PC's loopback address: for Chrome, Chromium,\n" +
			"Edge and Firefox, whether they are installed or not. Without them a browser asks the cashier, or refuses. It prints the line that the\n" +
			"configuration needs besides. posagent check says whether all of it is there. Run it as root; docs/browser-tills.md tells more.\n\n" +
			"This is all that init does so far: it asks nothing and writes no configuration. For that, copy configs/posagent.toml.",
		Example: "  sudo posagent init --browser-till https://pos.example.com\n  sudo posagent init --browser-till https://pos.example.com --undo",
		RunE: func(*cobra.Command, []string) error {
			if page == "" {
				return &Failure{Code: ExitUsage, What: "init so far does one thing: it lets a till that is a web page call posagent, and needs the page's address",
					Next: "write: posagent init --browser-till https://pos.example.com; to set up posagent itself, copy configs/posagent.toml to " + DefaultConfigFile + ", fill it in, and run: posagent check"}
			}
			origin, err := pageOrigin(page)
			if err != nil {
				return err
			}
			o.origin = origin
			return p.initBrowserTill(o)
		},
	}
	cmd.Flags().StringVar(&page, "browser-till", "", "the https `URL` of the page that is the till")
	cmd.Flags().BoolVar(&o.undo, "undo", false, "take the page out of the policies again")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would be written, and write nothing")
	cmd.Flags().StringVar(&o.root, "root", o.root, "write below this `DIR` instead of /, for an image or a trial")
	return cmd
}

// pageOrigin reads the address of a page that may call this PC: https alone, and one host by its name.
func pageOrigin(page string) (string, error) {
	wrong := func(why string) error {
		return &Failure{Code: ExitUsage, What: fmt.Sprintf("%.200q %s", page, why), Next: "write the page's address, for example https://pos.example.com"}
	}
	u, err := url.Parse(page)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return "", wrong("is no address of a page")
	case u.Scheme == "http":
		return "", wrong("begins with http://: anybody between the PC and that server could change the page, and would then take payments at this till; browsers give such a page no way to this PC either")
	case u.Scheme != "https":
		return "", wrong("does not begin with https://")
	case u.User != nil:
		return "", wrong("holds a user or a password, which no policy takes")
	case strings.ContainsAny(u.Host, "*[ ") || !goodPort(u.Port()):
		return "", wrong("must name one host, and a port at most")
	}
	host := strings.ToLower(u.Host)
	return "https://" + strings.TrimSuffix(host, ":443"), nil
}

// initReport is what init prints with --json.
type initReport struct {
	Origin string         `json:"origin"`
	DryRun bool           `json:"dry_run,omitempty"`
	Undo   bool           `json:"undo,omitempty"`
	Files  []policyChange `json:"files"`
	CORS   string         `json:"cors_line,omitempty"` // what the [api] section needs; "" where it has it
}

func (p *program) initBrowserTill(o browserTill) error {
	changes, err := o.plan()
	if err != nil {
		return err
	}
	report := initReport{Origin: o.origin, DryRun: o.dryRun, Undo: o.undo, Files: changes, CORS: p.corsLine(o)}
	if !o.dryRun {
		if err := carryOut(changes); err != nil {
			return err
		}
	}
	return p.print(report, func(w io.Writer) { report.write(w) })
}

// corsLine is the line of the configuration that lets the page read the API's answers, with what is there already; "" where nothing is to be changed.
func (p *program) corsLine(o browserTill) string {
	var origins []string
	if cfg, err := p.config(); err == nil {
		origins = slices.Clone(cfg.API.CORSOrigins)
	}
	there := slices.Contains(origins, o.origin)
	switch {
	case there != o.undo:
		return ""
	case o.undo:
		origins = slices.DeleteFunc(origins, func(x string) bool { return x == o.origin })
	default:
		origins = append(origins, o.origin)
	}
	quoted := make([]string, len(origins))
	for i, x := range origins {
		quoted[i] = fmt.Sprintf("%q", x)
	}
	return "cors_origins = [" + strings.Join(quoted, ", ") + "]"
}

func (r initReport) write(w io.Writer) {
	for _, c := range r.Files {
		fmt.Fprintf(w, "%-9s  %-14s  %s\n", c.word(r.DryRun), c.Browser, c.File)
		if r.DryRun && c.Change != unchanged && c.text != nil {
			fmt.Fprintf(w, "%s", indented(string(c.text)))
		}
	}
	switch {
	case r.CORS == "" && r.Undo:
		fmt.Fprintf(w, "\nThe configuration does not name %s.\n", r.Origin)
	case r.CORS == "":
		fmt.Fprintf(w, "\nThe configuration names %s already. Close every window of the browser, and open it again.\n", r.Origin)
	default:
		fmt.Fprintf(w, "\nNow write this line into the [api] section of the configuration, and restart posagent and the browser:\n\n  %s\n", r.CORS)
	}
	if !r.Undo {
		fmt.Fprintf(w, "\nThe page calls http://127.0.0.1:7080 with a token of its own: posagent token add \"browser till\" --scope pay\n")
	}
}

func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ") + "\n"
}
