package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"vicreg/internal/durable"
	"vicreg/internal/show"
	"vicreg/internal/train"
	"vicreg/internal/watch"
)

// watchAddr is where pages of runs are served unless another address is named.
const watchAddr = "127.0.0.1:8080"

func newWatch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch [FOLDER]",
		Short: "Show runs in a browser, while they go on",
		Long: `Shows all runs below a folder (runs, unless another is named) in a browser: a table
to sort and filter, curves of those that are chosen, one over the other, and a page for
each run. Pages go on while runs do. Only the files of runs are read, so runs need not
be told, and other machines' runs show too where folders are shared. It listens on this
machine alone; for another address, visitors must know a token. Ctrl-C ends.`,
		Example: `  vicreg watch
  vicreg watch /mnt/shared/runs --addr 127.0.0.1:9000
  VICREG_TOKEN=$(openssl rand -hex 16) vicreg watch --addr 0.0.0.0:8080
  vicreg pretrain --data ~/photos --watch     # the same pages, while it trains`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%s takes one folder, got %d arguments (see %[1]s --help)", cmd.CommandPath(), len(args))
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	var addr, token string
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&addr, "addr", watchAddr, "`address` to listen on; port 0: any that is free")
	flags.StringVar(&token, "token", "", "`secret` that visitors must know (default the variable "+tokenVariable+", which other users do not see)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		folder := "runs"
		if len(args) == 1 {
			folder = args[0]
			switch st, err := os.Stat(folder); {
			case errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("there is no folder %s", show.Name(folder))
			case err != nil:
				return fmt.Errorf("cannot read the folder %s: %w", show.Name(folder), durable.Reason(err))
			case !st.IsDir():
				return fmt.Errorf("%s is %s, not a folder", show.Name(folder), durable.Kind(st.Mode()))
			}
		}
		if token == "" && !flags.Changed("token") {
			token = os.Getenv(tokenVariable)
		}
		if err := checkAddr("addr", addr, token, flags.Changed("token"), watchAddr); err != nil {
			return err
		}
		ctx, release := interruptible(context.Background(), nil)
		defer release()
		l, err := listenOn("addr", addr)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "Watching the runs below %s at http://%s; Ctrl-C ends\n", show.Name(folder), l.Addr()); err != nil {
			l.Close()
			return err // nobody learns where it is
		}
		return watch.New(folder).Serve(ctx, l, token)
	}
	return cmd
}

// listenOn opens the address that a flag names.
func listenOn(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--%s %s cannot be listened on: %w", flag, addr, durable.Reason(unwrapped(err)))
	}
	return l, nil
}

// trainer starts or goes on with a run.
type trainer = func(context.Context, train.Reporter) error

// watched has start show its run in a browser as long as it goes on, beside those that lie in
// the same folder.
func watched(start trainer, addr string) (trainer, error) {
	token := os.Getenv(tokenVariable)
	if err := checkAddr("watch", addr, token, false, watchAddr); err != nil {
		return nil, err
	}
	l, err := listenOn("watch", addr)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, r train.Reporter) error {
		ctx, cancel := context.WithCancel(ctx)
		w := &watchedRun{Reporter: r, ctx: ctx, listener: l, token: token, ended: make(chan error, 1)}
		err := start(ctx, w)
		cancel()
		if w.begun {
			return errors.Join(err, <-w.ended)
		}
		l.Close()
		return err
	}, nil
}

// watchedRun serves pages from when the folder of a run is known.
type watchedRun struct {
	train.Reporter
	ctx      context.Context
	listener net.Listener
	token    string
	begun    bool
	ended    chan error
}

func (w *watchedRun) Start(p train.Plan) {
	w.Reporter.Start(p)
	if w.begun {
		return
	}
	w.begun = true
	complain(plain, "vicreg:", fmt.Sprintf("watch the run at http://%s", w.listener.Addr()))
	go func() {
		w.ended <- watch.New(filepath.Dir(filepath.Clean(p.Folder))).Serve(w.ctx, w.listener, w.token)
	}()
}
