package systemapi

// ic0Funcs is the System API of the Internet Computer as its interface
// specification tells it: names, types, occasions.
var ic0Funcs = []row{
	{"msg_arg_data_size", ":p", hasArgument, sizeOf((*Host).argument)},
	{"msg_arg_data_copy", "ppp", hasArgument, copyOf((*Host).argument)},
	{"msg_caller_size", ":p", notInStart, sizeOf((*Host).caller)},
	{"msg_caller_copy", "ppp", notInStart, copyOf((*Host).caller)},
	{"msg_caller_info_data_size", ":p", knowsCaller, sizeOf((*Host).nothing)},
	{"msg_caller_info_data_copy", "ppp", knowsCaller, copyOf((*Host).nothing)},
	{"msg_caller_info_signer_size", ":p", knowsCaller, sizeOf((*Host).nothing)},
	{"msg_caller_info_signer_copy", "ppp", knowsCaller, copyOf((*Host).nothing)},
	{"msg_reject_code", ":i", hasReject, (*Host).msgRejectCode},
	{"msg_reject_msg_size", ":p", InReject | InCompositeReject, sizeOf((*Host).rejectText)},
	{"msg_reject_msg_copy", "ppp", InReject | InCompositeReject, copyOf((*Host).rejectText)},
	{"msg_deadline", ":I", inMethod, (*Host).msgDeadline},
	{"msg_reply_data_append", "pp", inMethod, (*Host).msgReplyDataAppend},
	{"msg_reply", "", inMethod, (*Host).msgReply},
	{"msg_reject", "pp", inMethod, (*Host).msgReject},
	{"msg_method_name_size", ":p", InInspect, sizeOf((*Host).methodName)},
	{"msg_method_name_copy", "ppp", InInspect, copyOf((*Host).methodName)},
	{"accept_message", "", InInspect, (*Host).acceptMessage},

	{"call_new", "pppppppp", canCall, (*Host).callNew},
	{"call_on_cleanup", "pp", canCall, (*Host).callOnCleanup},
	{"call_data_append", "pp", canCall, (*Host).callDataAppend},
	{"call_with_best_effort_response", "i", canCall, (*Host).callBestEffort},
	{"call_cycles_add128", "II", canCall, (*Host).callCyclesAdd},
	{"call_perform", ":i", canCall, (*Host).callPerform},

	{"canister_self_size", ":p", notInStart, sizeOf((*Host).self)},
	{"canister_self_copy", "ppp", notInStart, copyOf((*Host).self)},
	{"canister_status", ":i", notInStart, (*Host).canisterStatus},
	{"canister_version", ":I", notInStart, (*Host).canisterVersion},
	{"subnet_self_size", ":p", notInStart, sizeOf((*Host).nothing)},
	{"subnet_self_copy", "ppp", notInStart, copyOf((*Host).nothing)},
	{"is_controller", "pp:i", always, (*Host).isController},
	{"in_replicated_execution", ":i", always, (*Host).inReplicatedExecution},
	{"time", ":I", notInStart, (*Host).time},
	{"global_timer_set", "I:I", canSetTimer, (*Host).globalTimerSet},
	{"performance_counter", "i:I", always, (*Host).performanceCounter},
	{"debug_print", "pp", always, (*Host).debugPrint},
	{"trap", "pp", always, (*Host).trap},

	{"stable64_size", ":I", always, (*Host).stableSize},
	{"stable64_grow", "I:I", always, (*Host).stableGrow},
	{"stable64_read", "III", always, (*Host).stableRead},
	{"stable64_write", "III", always, (*Host).stableWrite},

	{"certified_data_set", "pp", canCertify, (*Host).certifiedDataSet},
	{"data_certificate_present", ":i", notInStart, zero},
	{"data_certificate_size", ":p", InQuery | InCompositeQuery, noCertificate},
	{"data_certificate_copy", "ppp", InQuery | InCompositeQuery, noCertificate},
	{"root_key_size", ":p", notInStart & isReplicated, sizeOf((*Host).nothing)},
	{"root_key_copy", "ppp", notInStart & isReplicated, copyOf((*Host).nothing)},

	{"env_var_count", ":p", notInStart, zero},
	{"env_var_name_size", "p:p", notInStart, noVariable},
	{"env_var_name_copy", "pppp", notInStart, noVariable},
	{"env_var_name_exists", "pp:i", notInStart, (*Host).variableExists},
	{"env_var_value_size", "pp:p", notInStart, (*Host).variableValue},
	{"env_var_value_copy", "ppppp", notInStart, (*Host).variableValue},

	{"canister_cycle_balance128", "p", notInStart, noCycles(0)},
	{"canister_liquid_cycle_balance128", "p", notInStart, noCycles(0)},
	{"msg_cycles_available128", "p", canAccept, noCycles(0)},
	{"msg_cycles_refunded128", "p", inCallback, noCycles(0)},
	{"msg_cycles_accept128", "IIp", canAccept, noCycles(2)},
	{"cycles_burn128", "IIp", canBurn, noCycles(2)},
	{"mint_cycles128", "IIp", InUpdate | inCallback | InTask, noMint},
	{"cost_call", "IIp", always, noCycles(2)},
	{"cost_create_canister", "p", always, noCycles(0)},
	{"cost_http_request", "IIp", always, noCycles(2)},
	{"cost_sign_with_ecdsa", "ppip:i", always, noKey(1)},
	{"cost_sign_with_schnorr", "ppip:i", always, noKey(2)},
	{"cost_vetkd_derive_key", "ppip:i", always, noKey(1)},
}

// ic0NarrowFuncs are the older functions that modules with a 64-bit memory do
// not have.
var ic0NarrowFuncs = []row{
	{"stable_size", ":i", always, (*Host).stable32Size},
	{"stable_grow", "i:i", always, (*Host).stable32Grow},
	{"stable_read", "iii", always, (*Host).stable32Read},
	{"stable_write", "iii", always, (*Host).stable32Write},

	{"canister_cycle_balance", ":I", notInStart, zero},
	{"msg_cycles_available", ":I", canAccept, zero},
	{"msg_cycles_refunded", ":I", inCallback, zero},
	{"msg_cycles_accept", "I:I", canAccept, zero},
	{"call_cycles_add", "I", canCall, (*Host).callCyclesAdd},
}

// sizeOf and copyOf are the two functions by which a canister reads bytes that
// the host has.
func sizeOf(data func(*Host) []byte) func(*Host, []uint64) (uint64, error) {
	return func(h *Host, _ []uint64) (uint64, error) { return uint64(len(data(h))), nil }
}

func copyOf(data func(*Host) []byte) func(*Host, []uint64) (uint64, error) {
	return func(h *Host, a []uint64) (uint64, error) { return 0, h.copyOut(data(h), a[0], a[1], a[2]) }
}

func zero(*Host, []uint64) (uint64, error) { return 0, nil }
