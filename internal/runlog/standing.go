package runlog

import "slices"

// Standing returns the warnings that no later change of plan has taken back.
func (m *Metrics) Standing() (all []Warning) {
	for _, w := range m.Warnings {
		if !slices.ContainsFunc(m.Replans, func(p Replan) bool {
			return p.Step >= w.Step && slices.Contains(p.Withdrawn, w.Message)
		}) {
			all = append(all, w)
		}
	}
	return all
}
