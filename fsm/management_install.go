package fsm

import (
	"errors"
	"fmt"

	"lockstep/canister"
	"lockstep/canister/candid"
)

// installCode installs a module, anew or into an empty canister, or upgrades to it.
func (q *request) installCode() (Result, error) {
	c, err := installation(q.arg)
	if err != nil {
		return q.bad(err), nil
	}
	return q.onTarget(c)
}

// installation reads the argument of install_code.
func installation(arg candid.Raw) (c command, err error) {
	mode, err := arg.Field("mode")
	if err == nil {
		err = c.setMode(mode)
	}
	if err != nil {
		return c, fmt.Errorf("mode: %w", err)
	}
	for _, part := range []struct {
		name string
		to   *[]byte
	}{{"wasm_module", &c.module}, {"arg", &c.arg}} {
		field, err := arg.Field(part.name)
		if err == nil {
			*part.to, err = field.Blob()
		}
		if err != nil {
			return c, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return c, nil
}

func (c *command) setMode(mode candid.Raw) error {
	id, options, err := mode.Case()
	if err != nil {
		return err
	}
	switch id {
	case candid.Hash("install"):
		c.kind = KindInstall
	case candid.Hash("reinstall"):
		c.kind = KindReinstall
	case candid.Hash("upgrade"):
		c.kind = KindUpgrade
		return c.setOptions(options)
	default:
		return errors.New("must be install, reinstall or upgrade")
	}
	return nil
}

func (c *command) setOptions(r candid.Raw) error {
	options, given, err := r.Opt()
	if err != nil || !given {
		return err
	}
	for _, part := range []struct {
		name string
		read func(candid.Raw) error
	}{
		{"skip_pre_upgrade", func(v candid.Raw) (err error) { c.options.SkipPreUpgrade, err = v.Bool(); return }},
		{"wasm_memory_persistence", c.setPersistence},
	} {
		field, err := options.Field(part.name)
		if err != nil {
			return err
		}
		value, given, err := field.Opt()
		if err == nil && given {
			err = part.read(value)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func (c *command) setPersistence(v candid.Raw) error {
	id, _, err := v.Case()
	switch {
	case err != nil:
		return err
	case id == candid.Hash("keep"):
		c.options.Memory = canister.MemoryKeep
	case id == candid.Hash("replace"):
		c.options.Memory = canister.MemoryReplace
	default:
		return errors.New("must be keep or replace")
	}
	return nil
}
