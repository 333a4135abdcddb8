package fsm

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"lockstep/canister"
	"lockstep/canister/candid"
	"lockstep/memstore"
)

// ManagementCanister is the name, and the principal's text, of the canister that is none: who calls it speaks to the state
// machine. Its interface is ManagementInterface.
const ManagementCanister = "aaaaa-aa"

// ManagementInterface describes the management canister in Candid.
//
//go:embed management.did
var ManagementInterface string

var management = mustParseInterface(ManagementInterface)

func mustParseInterface(did string) *candid.Description {
	d, err := candid.Parse(did)
	if err != nil {
		panic(err)
	}
	return d
}

// request is a call of the management canister, by a client or a canister, with its one argument.
type request struct {
	*roundWork
	from   origin
	method string
	arg    candid.Raw
}

// managementMethods are what the management canister can do. A result of status 0 says that the answer was given, or will be.
var managementMethods = map[string]func(*request) (Result, error){
	"create_canister": (*request).createCanister, "provisional_create_canister_with_cycles": (*request).createCanister,
	"update_settings": (*request).updateSettings, "install_code": (*request).installCode, "uninstall_code": (*request).uninstallCode,
	"start_canister": (*request).startCanister, "stop_canister": (*request).stopCanister, "delete_canister": (*request).deleteCanister,
	"canister_status": (*request).canisterStatus,
}

// absentMethods are methods of the Internet Computer's management canister that can't be had here, by the beginnings of their
// names, and why.
var absentMethods = []struct{ prefix, why string }{
	{"deposit_cycles", "there are no cycles"}, {"provisional_top_up", "there are no cycles"},
	{"ecdsa_", "there are no threshold keys"}, {"sign_with_", "there are no threshold keys"}, {"schnorr_", "there are no threshold keys"},
	{"vetkd_", "there are no threshold keys"}, {"http_request", "replicas reach nothing but each other"},
	{"bitcoin_", "replicas reach nothing but each other"}, {"upload_chunk", "modules are sent whole"}, {"clear_chunk", "modules are sent whole"},
	{"stored_chunks", "modules are sent whole"}, {"install_chunked", "modules are sent whole"},
	{"node_metrics", "there are no subnets"}, {"subnet_info", "there are no subnets"},
	{"canister_info", "no history of canisters is kept"}, {"take_canister_snapshot", "checkpoints are of the whole cluster"},
	{"load_canister_snapshot", "checkpoints are of the whole cluster"}, {"list_canister_snapshot", "checkpoints are of the whole cluster"},
	{"delete_canister_snapshot", "checkpoints are of the whole cluster"}, {"fetch_canister_logs", "logs are the nodes' own"},
}

// manage does what a call of the management canister asks for, and answers it. No turn may run.
func (w *roundWork) manage(from origin, method string, data []byte) error {
	r, err := w.managed(from, method, data)
	if err != nil {
		return fmt.Errorf("management canister, %s: %w", method, err)
	}
	if r.Status == 0 {
		return nil
	}
	if r.Status == StatusRefused {
		r.Status, r.RejectCode = StatusRejected, codeError
	}
	return w.answer(from, r)
}

func (w *roundWork) managed(from origin, method string, data []byte) (Result, error) {
	if method == "raw_rand" {
		return w.rawRand(from), nil
	}
	run, known := managementMethods[method]
	if !known {
		why := "there is no such method"
		for _, absent := range absentMethods {
			if strings.HasPrefix(method, absent.prefix) {
				why = absent.why
			}
		}
		return rejected(codeDestination, "the management canister of this cluster has no method %q: %s", method, why), nil
	}
	args, err := candid.Args(data)
	if err == nil && len(args) == 0 {
		err = fmt.Errorf("no argument")
	}
	if err != nil {
		return rejected(codeError, "%s: %v", method, err), nil
	}
	return run(&request{w, from, method, args[0]})
}

func rejected(code uint32, format string, args ...any) Result {
	return Result{Status: StatusRejected, RejectCode: code, Text: fmt.Sprintf(format, args...)}
}

// bad is the result of an argument that is wrong.
func (q *request) bad(err error) Result { return rejected(codeError, "%s: %v", q.method, err) }

// reply is the result that a text in Candid stands for, of the types that the interface gives.
func (q *request) reply(text string) Result {
	data, err := candid.Encode(text, management.Methods[q.method].Results)
	if err != nil {
		panic(fmt.Sprintf("fsm: %s replies %s: %v", q.method, text, err))
	}
	return Result{Status: StatusReplied, Reply: data}
}

// rawRand gives 32 bytes that nobody knew before the state before this round.
func (w *roundWork) rawRand(from origin) Result {
	call := uint64(from.Call)
	if from.Kind == fromClient {
		call = from.Ref.Position
	}
	text := binary.BigEndian.AppendUint64(w.seed[:], uint64(from.Canister))
	random := hashParts("lockstep/raw-rand/1", binary.BigEndian.AppendUint64(text, call))
	return (&request{method: "raw_rand"}).reply("(" + blobText(random[:]) + ")")
}

func blobText(b []byte) string {
	text := `blob "`
	for _, c := range b {
		text += fmt.Sprintf(`\%02x`, c)
	}
	return text + `"`
}

func principalText(p []byte) string { return fmt.Sprintf("principal %q", canister.PrincipalText(p)) }

// target finds the canister that the argument names; its caller must be one of the controllers, or itself where self allows it.
func (q *request) target(self bool) (*turn, Result) {
	field, err := q.arg.Field("canister_id")
	var principal []byte
	if err == nil {
		principal, err = field.Principal()
	}
	if err != nil {
		return nil, q.bad(fmt.Errorf("canister_id: %w", err))
	}
	id, _ := canister.CanisterOf(principal)
	if q.next.canister(CanisterID(id)) == nil {
		return nil, rejected(codeDestination, "there is no canister %s", canister.PrincipalText(principal))
	}
	t := q.turn(CanisterID(id))
	if !t.controlledBy(q.from.Caller) && !(self && q.from.Kind == fromCanister && q.from.Canister == t.record.ID) {
		return nil, rejected(codeError, "%s: the caller is not a controller of canister %q", q.method, t.record.Name)
	}
	return t, Result{}
}

// onTarget carries out a command on the canister that the argument names.
func (q *request) onTarget(c command) (Result, error) {
	t, r := q.target(false)
	if t == nil {
		return r, nil
	}
	c.from, c.number = q.from, t.number()
	r, err := q.command(t, &c)
	if err == nil && r.Status == StatusReplied {
		r = q.reply("()")
	}
	return r, err
}

func (q *request) startCanister() (Result, error)  { return q.onTarget(command{kind: KindStart}) }
func (q *request) stopCanister() (Result, error)   { return q.onTarget(command{kind: KindStop}) }
func (q *request) deleteCanister() (Result, error) { return q.onTarget(command{kind: KindDelete}) }
func (q *request) uninstallCode() (Result, error) {
	return q.onTarget(command{kind: KindReinstall, module: emptyModule})
}

func (q *request) createCanister() (Result, error) {
	field, err := q.arg.Field("settings")
	s := canisterSettings{controllers: [][]byte{q.from.Caller}, limits: q.next.Limits.Canister}
	if err == nil {
		err = s.change(field, q.next.Limits.Canister)
	}
	if err == nil {
		err = s.limits.Validate()
	}
	if err != nil {
		return q.bad(err), nil
	}
	id, r, err := q.create("", s.controllers, s.limits, &command{kind: KindInstall, from: q.from, module: emptyModule})
	if err == nil && r.Status == StatusReplied {
		r = q.reply("(record { canister_id = " + principalText(canister.Principal(uint64(id))) + " })")
	}
	return r, err
}

func (q *request) updateSettings() (Result, error) {
	t, r := q.target(false)
	if t == nil {
		return r, nil
	}
	field, err := q.arg.Field("settings")
	s := canisterSettings{controllers: t.record.Controllers, limits: t.record.Limits}
	if err == nil {
		err = s.change(field, q.next.Limits.Canister)
	}
	if err != nil {
		return q.bad(err), nil
	}
	if s.limits != t.record.Limits {
		if r, err = q.limit(t, s.limits); err != nil || r.Status != StatusReplied {
			return r, err
		}
	} else {
		t.record.Version++
	}
	t.record.Controllers = s.controllers
	return q.reply("()"), nil
}

// canisterStatus answers the caller about itself, or about a canister that it controls.
func (q *request) canisterStatus() (Result, error) {
	t, r := q.target(true)
	if t == nil {
		return r, nil
	}
	c := &t.record
	state := c.live.State()
	memory, stable := state.Memory.Size.Bytes(), state.Stable.Size.Bytes()
	hash, code, globals := "null", uint64(0), uint64(17*len(state.Globals))
	if !c.empty() {
		hash, code = blobText(c.Module[:]), c.CodeBytes
	}
	controllers := make([]string, len(c.Controllers))
	for i, p := range c.Controllers {
		controllers[i] = principalText(p)
	}
	l := c.Limits
	return q.reply(fmt.Sprintf(`(record {
  status = variant { %s }; module_hash = %s; memory_size = %d; version = %d;
  cycles = 0; reserved_cycles = 0; idle_cycles_burned_per_day = 0;
  settings = record { controllers = vec { %s }; wasm_memory_limit = %d; stable_memory_limit = %d; instruction_limit = %d;
    install_instruction_limit = %d; reply_limit = %d; compute_allocation = 0; memory_allocation = 0; freezing_threshold = 0;
    reserved_cycles_limit = 0; wasm_memory_threshold = 0; log_visibility = variant { controllers }; environment_variables = vec {} };
  memory_metrics = record { wasm_memory_size = %d; stable_memory_size = %d; global_memory_size = %d; wasm_binary_size = %d;
    custom_sections_size = 0; canister_history_size = 0; wasm_chunk_store_size = 0; snapshots_size = 0 };
  query_stats = record { num_calls_total = 0; num_instructions_total = 0; request_payload_bytes_total = 0; response_payload_bytes_total = 0 } })`,
		c.Life, hash, memory+stable+globals+code, c.Version, strings.Join(controllers, "; "), l.MemoryBytes, l.StableBytes, l.Fuel, l.InstallFuel,
		l.ReplyBytes, memory, stable, globals, code)), nil
}

// canisterSettings are what create_canister and update_settings may say of a canister.
type canisterSettings struct {
	controllers [][]byte
	limits      canister.Limits
}

// maxControllers is that of the Internet Computer.
const maxControllers = 10

// change takes over what a record of settings says; absent and null say nothing. 0 gives a limit the cluster's value.
func (s *canisterSettings) change(r candid.Raw, cluster canister.Limits) error {
	r, given, err := r.Opt()
	if err != nil || !given {
		return err
	}
	list, err := r.Field("controllers")
	if err == nil {
		err = s.setControllers(list)
	}
	if err != nil {
		return fmt.Errorf("settings: controllers: %w", err)
	}
	for _, l := range []struct {
		name         string
		limit, usual *uint64 // nil for those that must be 0
	}{
		{"wasm_memory_limit", &s.limits.MemoryBytes, &cluster.MemoryBytes}, {"stable_memory_limit", &s.limits.StableBytes, &cluster.StableBytes},
		{"instruction_limit", &s.limits.Fuel, &cluster.Fuel}, {"install_instruction_limit", &s.limits.InstallFuel, &cluster.InstallFuel},
		{"reply_limit", &s.limits.ReplyBytes, &cluster.ReplyBytes}, {"compute_allocation", nil, nil}, {"memory_allocation", nil, nil},
		{"freezing_threshold", nil, nil}, {"reserved_cycles_limit", nil, nil}, {"wasm_memory_threshold", nil, nil},
	} {
		if err := setLimit(r, l.name, l.limit, l.usual); err != nil {
			return fmt.Errorf("settings: %s: %w", l.name, err)
		}
	}
	return nil
}

func (s *canisterSettings) setControllers(r candid.Raw) error {
	list, given, err := r.Opt()
	if err != nil || !given {
		return err
	}
	values, err := list.Vec(maxControllers)
	if err != nil {
		return err
	}
	s.controllers = nil
	for _, v := range values {
		p, err := v.Principal()
		if err != nil {
			return err
		}
		s.controllers = append(s.controllers, slices.Clone(p))
	}
	return nil
}

func setLimit(settings candid.Raw, name string, limit, usual *uint64) error {
	field, err := settings.Field(name)
	if err != nil {
		return err
	}
	value, given, err := field.Opt()
	if err != nil || !given {
		return err
	}
	n, err := value.Nat()
	switch {
	case err != nil:
		return err
	case limit == nil && n.Sign() != 0:
		return fmt.Errorf("%v, must be 0 or null: a cluster has no such thing", n)
	case limit == nil:
	case n.Sign() == 0:
		*limit = *usual
	case !n.IsUint64():
		return fmt.Errorf("%v is too much", n)
	default:
		*limit = n.Uint64()
		if strings.HasSuffix(name, "memory_limit") {
			*limit -= *limit % memstore.WasmPageSize // memory comes in pages of 64 KiB
		}
	}
	return nil
}
