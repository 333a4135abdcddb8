package canister

import "lockstep/canister/program"

// Metadata is a custom section by which a module tells about itself, such as
// candid:service; public ones come before private ones. ok is false if there is
// none of the name.
func (m *Module) Metadata(name string) (contents []byte, ok bool) {
	for _, prefix := range []string{program.PublicSection, program.PrivateSection} {
		if contents, ok = m.Program.Sections[prefix+name]; ok {
			return contents, true
		}
	}
	return nil, false
}
