package main

import (
	"context"
	"io"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// pingWithin is how long the engine's loop may take to answer before the watchdog is not fed.
const pingWithin = 5 * time.Second

func runCommand(p *program) *cobra.Command {
	level := "info"
	beginNew := false
	cmd := &cobra.Command{
		Use:   "run",
		Short: "The daemon: takes payments until it is stopped",
		Long: "The daemon. It reads the configuration, finishes what a stop or a power cut left open, and takes payments until SIGTERM.\n" +
			"It tells systemd when it is ready and feeds its watchdog from the loop that owns the payments.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			log, err := newLog(p.stderr, level)
			if err != nil {
				return err
			}
			return runDaemon(cmd.Context(), cfg, agentOptions{Log: log, BeginNew: beginNew})
		},
	}
	cmd.Flags().StringVar(&level, "log-level", level, "debug, info, warn or error")
	cmd.Flags().BoolVar(&beginNew, "begin-new-journal", false, "begin a new journal where the old one is missing (what was open in it is not known any more)")
	return cmd
}

// newLog writes JSON lines: error = a person must act, warn = we recovered, info = a change of status, debug = the wire.
func newLog(w io.Writer, level string) (zerolog.Logger, error) {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		return zerolog.Nop(), &Failure{Code: ExitUsage, What: "log level " + quoted(level) + " is not known", Next: "write debug, info, warn or error"}
	}
	return zerolog.New(zerolog.SyncWriter(w)).Level(parsed).With().Timestamp().Logger(), nil
}

// runDaemon runs agents until ctx ends or one fails. An agent that could only show its journal ends by itself when the journal
// can be written again, and the next takes its place.
func runDaemon(ctx context.Context, cfg Config, o agentOptions) error {
	for ctx.Err() == nil {
		a, err := newAgent(cfg, o)
		if err != nil {
			return err
		}
		err = a.runNotified(ctx)
		a.close()
		if err != nil || a.readOnly == nil {
			return err
		}
	}
	return nil
}

// runNotified is run with systemd told: ready once the journal is open and the listeners stand, alive as long as the loop answers.
func (a *agent) runNotified(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go a.feedWatchdog(watching)
	for _, l := range a.listeners {
		a.log.Info().Str("address", l.Addr().String()).Msg("listening")
	}
	a.log.Info().Int64("elapsed_ms", time.Since(a.started).Milliseconds()).Msg("ready")
	a.notify(daemon.SdNotifyReady)
	err := a.run(ctx)
	a.notify(daemon.SdNotifyStopping)
	return err
}

func (a *agent) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn().Err(err).Msg("systemd could not be told; it may stop this service")
	}
}

// feedWatchdog feeds systemd's watchdog from the engine's loop: a loop that hangs is restarted, and asks about every open payment.
func (a *agent) feedWatchdog(ctx context.Context) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil || limit == 0 {
		return
	}
	tick := time.NewTicker(limit / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, pingWithin)
		err := a.engine.Ping(within)
		cancel()
		if err == nil {
			a.notify(daemon.SdNotifyWatchdog)
		}
	}
}

func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return `"` + s + `"`
}
