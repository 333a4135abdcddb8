package node

import (
	"fmt"
	"net/http"
	"strings"
)

const helpText = `lockstep node {node} of cluster {cluster}: {state}, {role}

Any node takes every request; it passes updates and linearizable queries on to the leader.

  install a canister     curl --data-binary @FILE.wasm http://{host}/v1/canisters/NAME
                         (Wasm or WAT; the argument of canister_init is ?arg=TEXT or the header Lockstep-Arg)
  upgrade, reinstall     curl --data-binary @FILE.wasm 'http://{host}/v1/canisters/NAME?mode=upgrade' (or mode=reinstall)
  stop, start, delete    curl -X POST http://{host}/v1/canisters/NAME/stop (or .../start); curl -X DELETE http://{host}/v1/canisters/NAME
                         (an upgrade also takes &skip_pre_upgrade=true and &wasm_memory=keep or replace)
  limits                 curl http://{host}/v1/limits; curl -d 'Sessions=100 Calls=50' http://{host}/v1/limits;
                         of a canister: curl -d 'MemoryBytes=1048576 Fuel=5000000' http://{host}/v1/canisters/NAME/limits
  update                 curl -d ARGUMENT http://{host}/v1/canisters/NAME/update/METHOD
  query                  curl -d ARGUMENT http://{host}/v1/canisters/NAME/query/METHOD
                         (or ?arg=TEXT; ?consistency=stale answers from this node's own state)
  its interface          curl http://{host}/v1/canisters/NAME/interface (Candid, where the module carries it)
  open a session         curl -X POST http://{host}/v1/sessions
  update exactly once    curl -H 'Lockstep-Session: N' -H 'Lockstep-Sequence: 1' -d ARGUMENT http://{host}/v1/canisters/NAME/update/METHOD
                         (a sequence number names one message: sent again under it, even with another content, it gets the first one's
                         result and does not run; the next update has the next number)
  status of this node    curl http://{host}/v1/status
  roots of its rounds    curl 'http://{host}/v1/roots?from=1&max=100'
  read a whole state     curl -X POST 'http://{host}/v1/states?round=N' (no round: the newest) holds it for a while and lists its parts;
                         curl -d '{"canisters":[1]}' http://{host}/v1/states/ID/read; curl -X DELETE http://{host}/v1/states/ID
                         (what cluster diff uses; also on a replica that has diverged)
  metrics                curl http://{host}/metrics

Canister aaaaa-aa is the management canister (create_canister, install_code, update_settings, canister_status, raw_rand, ...).

The header Lockstep-Caller names the principal that canisters see as the caller, in its text form (2vxsx-fae, the anonymous one, is the
default). It is believed: there is no access control.

Whatever the state machine made of a call is a 200, and "status" says what that was: not only replied and no-reply, but also
rejected, trapped, out-of-fuel, a refusal such as a canister that is not there, or an expired session. Any other code means
that there is no result, and "outcome" says what is known: "refused" certainly did not happen, "unknown" may have happened.
`

// help is GET /.
func (s *server) help(w http.ResponseWriter, r *http.Request) {
	status := s.node.Status()
	text := strings.NewReplacer("{node}", status.Node, "{cluster}", status.Cluster, "{state}", status.State.String(), "{role}", status.Role,
		"{host}", s.addr()).Replace(helpText)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, text)
}
