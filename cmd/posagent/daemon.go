package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"posagent/till"
)

// tokenVariable is the environment variable with the token for a daemon without a unix socket: an argument would stand in the process list.
const tokenVariable = "POSAGENT_TOKEN"

// dialDaemon reaches the running daemon, on its socket where the configuration names one. An error says what to do.
func dialDaemon(ctx context.Context, cfg Config) (*till.Client, error) {
	at := till.ClientConfig{Socket: cfg.API.Socket}
	if at.Socket == "" {
		at = till.ClientConfig{URL: "http://" + cfg.API.Listen, Token: os.Getenv(tokenVariable)}
	}
	client, err := till.Dial(ctx, at)
	if err != nil {
		return nil, daemonFailure(err)
	}
	return client, nil
}

// daemonFailure words an error of a call to the daemon. Other errors, and no error, come back as they are.
func daemonFailure(err error) error {
	var refused *till.Problem
	var away *till.UnreachableError
	switch {
	case errors.As(err, &refused) && refused.Code == till.Unauthorized:
		return &Failure{What: refused.Detail, Next: "put a token into the environment variable " + tokenVariable + ", or name a socket in the [api] section", Err: err}
	case errors.As(err, &refused):
		return &Failure{What: refused.Detail, Next: refused.NextStep.EN, Err: err}
	case errors.As(err, &away) && errors.Is(err, fs.ErrPermission):
		return &Failure{What: "this user may not open " + away.Where, Next: "run the command with sudo, or add the user to the group posagent and log in anew", Err: err}
	case errors.As(err, &away):
		return &Failure{What: "posagent does not answer on " + away.Where + ": " + away.Err.Error(),
			Next: "see that it runs: systemctl status posagent (by hand: posagent run)", Err: err}
	}
	return err
}

// isAway reports that no daemon answered.
func isAway(err error) bool {
	var away *till.UnreachableError
	return errors.As(err, &away)
}
