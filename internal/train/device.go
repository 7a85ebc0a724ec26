package train

import (
	"errors"
	"fmt"
	"strings"

	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/group"
	"vicreg/internal/imagefile"
	"vicreg/internal/method"
	"vicreg/internal/reckon"
	"vicreg/internal/show"
)

// ahead returns the memory that batches are made in: that of a device which takes them up
// while it computes, or nil.
func (r *run) ahead() batch.Memory {
	m, _ := r.device.(batch.Memory)
	return m
}

// computer names the device that the run is computed on; empty: the processor.
func (r *run) computer() string {
	if r.device == nil {
		return ""
	}
	return device.Describe(r.device)
}

// flag is the device as --device names it; empty: the processor.
func (r *run) flag() string {
	if r.device == nil {
		return ""
	}
	return r.device.Name()
}

// variant names what the bits of the run depend on besides its configuration: the device
// and its precision, the instructions of the host's kernels, how many processes train
// together, and what decodes JPEG files.
func (r *run) variant() string {
	if r.device == nil {
		return hostVariant(r.config) + r.inProcesses() + r.jpegs()
	}
	host := r.config
	host.Precision = ""
	return fmt.Sprintf("%s in %s%s%s", r.computer(), r.config.Precision, beside, hostVariant(host)+r.inProcesses()+r.jpegs())
}

// byJPEG stands in the variant of a run whose JPEG files another decoder than Go's reads.
const byJPEG = ", JPEG by "

// jpegs ends the variant of a run with JPEG files, if another decoder than Go's reads them.
func (r *run) jpegs() string {
	name := imagefile.Library()
	if name == "" {
		return ""
	}
	if s, ok := r.corpus.(*images); ok {
		for i := range s.trainData.Items { // those within other files may be anything
			if item := &s.trainData.Items[i]; item.Encoded() && (item.Path == "" || imagefile.NamedJPEG(item.Path)) {
				return byJPEG + name
			}
		}
		return ""
	}
	for i := range r.listed.N {
		if _, path := r.listed.At(i); imagefile.NamedJPEG(path) {
			return byJPEG + name
		}
	}
	return ""
}

// decoderOf splits a variant into the instructions and the decoder of JPEG files.
func decoderOf(variant string) (rest, decoder string) {
	rest, decoder, found := strings.Cut(variant, byJPEG)
	if !found {
		decoder = "Go's decoder"
	}
	return rest, decoder
}

// beside stands in the variant of a run on a device.
const beside = " beside "

// missing is a warning if the run's precision is none of where it is computed.
func (r *run) missing() string {
	if r.device != nil {
		return ""
	}
	return method.Precision(r.config).Missing()
}

// card is the device's memory, for a reckoning; nil of the processor, and of a device that
// does not tell.
func (r *run) card() *reckon.Card { return reckon.CardOf(r.device, method.Precision(r.config)) }

// failed completes the error of a run whose device failed: what would fit if its memory
// was full, what is saved, and how to go on.
func (r *run) failed(err error) error {
	if !failure(err) {
		return err
	}
	fits := r.fitting(err)
	switch {
	case errors.As(err, new(group.Failure)) && r.folder != "":
		return fmt.Errorf("%w; %s; --resume %s goes on, with another number of processes too", err, r.lastGood(), show.Name(r.folder))
	case r.folder == "" && fits == "":
		return err // nothing was begun
	case r.folder == "":
		return fmt.Errorf("%w; %s", err, fits)
	case fits != "":
		return fmt.Errorf("%w; %s; %s; on another device --resume %s goes on", err, fits, r.lastGood(), show.Name(r.folder))
	}
	return fmt.Errorf("%w; %s; --resume %s goes on, on another device too", err, r.lastGood(), show.Name(r.folder))
}

// fitting says what would have fitted if the device's memory was full, else nothing.
func (r *run) fitting(err error) string {
	var e interface{ OutOfMemory() bool }
	if !errors.As(err, &e) || !e.OutOfMemory() {
		return ""
	}
	return reckon.Smaller(r.config, r.counts(), r.card())
}

// counts is what is known of the data, for a reckoning.
func (r *run) counts() reckon.Data {
	g := r.processes()
	return reckon.Data{Items: r.corpus.len(), Scored: r.corpus.scored(), Processes: g.Size(), Here: group.Here(g)}
}

// failure reports whether an error is of a device that failed, or of processes that no
// longer work together. No run goes on with it.
func failure(err error) bool {
	return errors.As(err, new(device.Failure)) || errors.As(err, new(group.Failure))
}

// release gives back what the run holds of a device, unless that failed in the middle of
// something.
func (r *run) release(err error) {
	if r.device == nil || r.method == nil || failure(err) {
		return
	}
	defer device.Catch(&err) // it fails now: all is saved
	r.method.Close()
	for _, p := range r.optimizer.State() {
		p.Free()
	}
	for i := range r.recent {
		r.device.Free(r.recent[i].far)
	}
	r.arena.Close()
	r.recent, r.method, r.optimizer = nil, nil, nil
}
