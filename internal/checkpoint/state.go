package checkpoint

import (
	"fmt"
	"math"
	"time"

	"vicreg/internal/runlog"
)

// State is all of a run except its arrays.
type State struct {
	Config      string    `json:"config"`          // digest of what the run computes
	Fingerprint string    `json:"fingerprint"`     // of the data, bad images included
	Files       string    `json:"files,omitempty"` // sums of the files that hold it
	Started     time.Time `json:"started"`

	ConfigSum string   `json:"config_crc32c,omitempty"` // of the configuration's file, also of what computes nothing
	Variants  []string `json:"variants,omitempty"`      // of the kernels, those the run has used, the last one last

	Epoch int `json:"epoch"` // from 0: the one the next step belongs to
	Step  int `json:"step"`  // of that epoch, from 0: the next one
	Steps int `json:"steps"` // done since the start of the run

	Loss  float64      `json:"loss"` // sums over the epoch so far
	Terms runlog.Terms `json:"terms"`

	EpochSeconds float64 `json:"epoch_seconds"`      // in the epoch's steps and their data so far,
	EpochWait    float64 `json:"epoch_wait_seconds"` // of them waiting for data

	Last  *runlog.Epoch `json:"last_epoch,omitempty"` // the last one that is done
	Trend []runlog.Seen `json:"trend,omitempty"`      // how the encoder saw views on the way
	Best  *runlog.Epoch `json:"best_epoch,omitempty"` // of an encoder that is taught classes

	MetricsSize  int64   `json:"metrics_size"`             // bytes
	MetricsSum   string  `json:"metrics_crc32c,omitempty"` // of them
	Seconds      float64 `json:"seconds"`                  // of the run so far, pauses left out
	TrainSeconds float64 `json:"train_seconds"`            // of them, in steps and their data
	WaitSeconds  float64 `json:"wait_seconds"`             // of them, waiting for data

	Notes    []string `json:"notes,omitempty"` // what of the data was left out, filled in or guessed
	BadTrain []Bad    `json:"bad_train"`       // images taken out before the first step
	BadTest  []Bad    `json:"bad_test"`
	BadLate  []Bad    `json:"bad_late"` // images that turned bad later, and are replaced

	// Unsealed says that the state was read from a file of an older version, which
	// has no checksum of it.
	Unsealed bool `json:"-"`
}

// check returns what no run can have in its state.
func (s *State) check() error {
	for _, n := range []struct {
		what  string
		value int64
	}{{"epoch", int64(s.Epoch)}, {"step of the epoch", int64(s.Step)}, {"step", int64(s.Steps)}, {"size of the metrics", s.MetricsSize}} {
		if n.value < 0 {
			return fmt.Errorf("its %s is %d", n.what, n.value)
		}
	}
	if s.Steps < s.Step {
		return fmt.Errorf("it has done %d steps of the epoch, but %d altogether", s.Step, s.Steps)
	}
	for _, t := range []struct {
		what  string
		value float64
	}{{"time", s.Seconds}, {"time in steps", s.TrainSeconds}, {"time of waiting", s.WaitSeconds}, {"time in the epoch", s.EpochSeconds}, {"time of waiting in the epoch", s.EpochWait}} {
		if !(0 <= t.value && t.value < longest) {
			return fmt.Errorf("its %s is %g seconds", t.what, t.value)
		}
	}
	if math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
		return fmt.Errorf("its loss is %g", s.Loss)
	}
	return nil
}

// longest is more seconds than any run takes: 285 years, which is what a
// time.Duration holds.
const longest = 9e9

// Bad is an image that cannot be read.
type Bad struct {
	Name   string `json:"name"`
	Reason string `json:"reason"` // names the file
}
