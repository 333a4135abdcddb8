package fsm

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/canister"
	"lockstep/memstore"
)

func TestCallsAnswerThroughRounds(t *testing.T) {
	r := puppets(t, "a", "b")
	first := r.one(run("a", count+ask(2, count+reply("from b"))))
	wantStatus(t, first, StatusPending)
	if first.Ref != (Ref{Round: 3, Position: 0}) || !r.HasWork() {
		t.Fatalf("ref %v, work %v", first.Ref, r.HasWork())
	}
	if second := r.apply(&Round{}); len(second.Completed) != 0 || r.count("b") != 1 {
		t.Fatalf("the callee has counted %d, completed %v", r.count("b"), second.Completed)
	}
	third := r.apply(&Round{})
	if len(third.Completed) != 1 || third.Completed[0].Ref != first.Ref || r.HasWork() {
		t.Fatalf("completed %+v, work %v", third.Completed, r.HasWork())
	}
	wantReply(t, third.Completed[0].Result, "from b")
	if got := third.Completed[0].Result; got.Round != third.Round || got.Fuel <= first.Fuel {
		t.Errorf("round %d, fuel %d after %d", got.Round, got.Fuel, first.Fuel)
	}
}

// Calls of one round reach a queue by the callers' numbers, those of one caller in the order in which it made them, and leave it in
// that order.
func TestQueuesKeepTheirOrder(t *testing.T) {
	r := puppets(t, "a", "b", "c")
	next := ask(2, count+replyCount)
	sent := r.apply(&Round{Messages: []Message{run("c", next), run("a", next), run("a", next)}})
	order := map[Ref]uint64{sent.Results[1].Ref: 1, sent.Results[2].Ref: 2, sent.Results[0].Ref: 3}
	completed := r.rest()
	if len(completed) != len(order) {
		t.Fatalf("completed %+v", completed)
	}
	for _, c := range completed {
		wantNumber(t, c.Result, order[c.Ref])
	}
}

// A callee sees the deadline that its caller gave, and a callback the fuel of all executions of its call.
func TestCallsKnowTheirDeadlineAndCost(t *testing.T) {
	r := puppets(t, "a", "b")
	wantNumber(t, r.ends(run("a", ask(2, replyLimit))), 0)
	sent := r.apply(&Round{Time: 1_000_000_000_000, Messages: []Message{run("a", within(7)+ask(2, replyLimit))}})
	completed := r.rest()
	if len(completed) != 1 || completed[0].Ref != sent.Results[0].Ref {
		t.Fatalf("completed %+v", completed)
	}
	wantNumber(t, completed[0].Result, 1_007_000_000_000)

	pending := r.one(run("a", call{to: 2, arg: reply(""), onReply: replySpent}.script()))
	wantStatus(t, pending, StatusPending)
	end := r.rest()[0].Result
	wantStatus(t, end, StatusReplied)
	if spent := binary.LittleEndian.Uint64(end.Reply); spent <= pending.Fuel || spent >= end.Fuel {
		t.Errorf("the callback counts %d units; %d were spent before it and %d in all", spent, pending.Fuel, end.Fuel)
	}
}

func TestWhatCallersAreTold(t *testing.T) {
	r := puppets(t, "a", "b", "stopped")
	wantStatus(t, r.one(change(KindStop, "stopped")), StatusReplied)
	wantReply(t, r.ends(run("a", ask(1, reply("myself")))), "myself")
	wantReply(t, r.ends(run("a", ask(2, replyCaller))), string(canister.Principal(1)))
	wantReply(t, r.ends(run("a", ask(2, ask(1, ask(2, reply("deep")))))), "deep")
	wantNumber(t, r.ends(run("a", ask(99, reply("")))), codeDestination)
	wantNumber(t, r.ends(run("a", ask(2, trap))), codeError)
	wantNumber(t, r.ends(run("a", ask(2, ""))), codeError) // no answer
	wantNumber(t, r.ends(run("a", ask(2, reject("no")))), codeReject)
	wantNumber(t, r.ends(run("a", ask(3, reply("")))), codeError)
	wantNumber(t, r.ends(run("a", call{to: 2, method: "missing", onReject: replyCode}.script())), codeError)
	wantNumber(t, r.ends(run("a", call{to: 0, method: "deposit_cycles", onReject: replyCode}.script())), codeDestination)
	wantNumber(t, r.ends(run("a", call{to: 2, method: "count", onReply: replyArg}.script())), r.count("b"))
	first := r.ends(run("a", call{to: 0, method: "raw_rand", onReply: replyArg}.script()))
	second := r.ends(run("a", call{to: 0, method: "raw_rand", onReply: replyArg}.script()))
	if len(first.Reply) != 42 || len(second.Reply) != 42 || string(first.Reply) == string(second.Reply) {
		t.Errorf("raw_rand gives %x and %x", first.Reply, second.Reply)
	}
	for _, c := range r.state.canisters {
		if len(c.Contexts)+len(c.Calls)+len(c.Queue) > 0 || c.queueBytes != 0 || c.requests != 0 {
			t.Errorf("canister %s keeps %d contexts, %d calls, %d queued", c.Name, len(c.Contexts), len(c.Calls), len(c.Queue))
		}
	}
}

func TestContextsEndAsTheirLastExecution(t *testing.T) {
	r := puppets(t, "a", "b")
	silent := call{to: 2, arg: reply(""), onReply: count}.script()
	wantStatus(t, r.ends(run("a", silent)), StatusNoReply)
	trapping := call{to: 2, arg: reply(""), onReply: count + trap, clean: count + count}.script()
	before := r.count("a")
	wantStatus(t, r.ends(run("a", trapping)), StatusTrapped)
	if got := r.count("a") - before; got != 2 {
		t.Errorf("callback and cleanup have counted %d, want 2: the cleanup's alone", got)
	}
	badCleanup := call{to: 2, arg: reply(""), onReply: trap, clean: count + trap}.script()
	before = r.count("a")
	wantStatus(t, r.ends(run("a", badCleanup)), StatusTrapped)
	if got := r.count("a") - before; got != 0 {
		t.Errorf("a trapping cleanup has counted %d", got)
	}
	// One callback of two traps: the other still answers.
	wantReply(t, r.ends(run("a", trapping+ask(2, reply("saved")))), "saved")
	// The first answer counts; a second one traps its callback.
	twice := call{to: 2, arg: reply(""), onReply: count + reply("again")}.script()
	before = r.count("a")
	wantReply(t, r.one(run("a", twice+reply("once"))), "once")
	r.rest()
	if got := r.count("a") - before; got != 0 {
		t.Errorf("the callback that answered again has counted %d", got)
	}
	// Calls of an execution that traps are not made.
	wantStatus(t, r.one(run("a", ask(2, count)+trap)), StatusTrapped)
	if r.HasWork() {
		t.Error("a trapped execution's call is on its way")
	}
}

// What still waits for a response counts against the limit on calls of later executions.
func TestOutstandingCallsAreBounded(t *testing.T) {
	r := puppets(t, "a", "b")
	r.state.Limits.Calls = 3
	two := call{to: 2, arg: count + reply("")}.script() + call{to: 2, arg: count + reply("")}.script() + reply("sent")
	wantReply(t, r.one(run("a", two)), "sent")
	sent := r.apply(&Round{Messages: []Message{run("a", two), run("b", reply(""))}})
	wantReply(t, sent.Results[0], "sent")
	r.rest()
	if a, b := r.count("a"), r.count("b"); a != 1 || b != 3 {
		t.Errorf("%d calls were not made and %d were, want 1 and 3", a, b)
	}
}

// A turn takes no more from its queue than the limit on messages.
func TestATurnTakesSoManyMessages(t *testing.T) {
	r := puppets(t, "a", "b")
	r.state.Limits.TurnMessages = 2
	one := call{to: 2, arg: count + reply("")}.script()
	wantReply(t, r.one(run("a", one+one+one+one+one+reply(""))), "")
	for _, want := range []uint64{2, 4, 5} {
		if r.apply(&Round{}); r.count("b") != want {
			t.Errorf("b has taken %d calls, want %d", r.count("b"), want)
		}
	}
}

func TestQueuesAreBounded(t *testing.T) {
	r := puppets(t, "a", "b")
	r.state.Limits.QueueMessages, r.state.Limits.TurnMessages = 2, 1
	collect := call{to: 2, arg: count + reply(""), onReject: count}.script()
	wantReply(t, r.one(run("a", collect+collect+collect+collect+reply("sent"))), "sent")
	if got := len(r.current.state.canister(2).Queue); got != 2 {
		t.Errorf("%d calls wait, want 2", got)
	}
	r.rest()
	if a, b := r.count("a"), r.count("b"); a != 2 || b != 2 {
		t.Errorf("%d rejected and %d carried out, want 2 and 2", a, b)
	}
	r.state.Limits = DefaultLimits()
	r.state.Limits.Calls = 3
	wantReply(t, r.one(run("a", collect+collect+collect+collect+reply("sent"))), "sent")
	wantStatus(t, r.one(run("a", reply("no"))), StatusRefused) // it waits for 4
	r.rest()
	wantReply(t, r.one(run("a", reply("yes"))), "yes")
	if a, b := r.count("a"), r.count("b"); a != 3 || b != 5 {
		t.Errorf("%d rejected and %d carried out, want 3 and 5", a, b)
	}
	r.state.Limits = DefaultLimits()
	r.state.Limits.CallBytes = 300
	long := reply(strings.Repeat("x", 250))
	wantReply(t, r.one(run("a", call{to: 2, arg: long, onReject: count}.script()+call{to: 2, arg: long, onReject: count}.script()+reply(""))), "")
	r.rest()
	if a := r.count("a"); a != 4 {
		t.Errorf("%d rejected, want 4", a)
	}
	r.state.Limits.CallBytes = 100
	wantNumber(t, r.ends(run("a", call{to: 2, method: "run", arg: reply("0123456789"), onReject: replyCode, onReply: replyCount}.script())), 4)
}

func TestAResponseThatHasNoPlaceLosesItsContents(t *testing.T) {
	r := puppets(t, "a")
	r.state.Limits.CallBytes = 20 // raw_rand replies 42
	wantNumber(t, r.ends(run("a", call{to: 0, method: "raw_rand", onReject: replyCode}.script())), codeFatal)
}

func TestSessionsKeepPendingMessages(t *testing.T) {
	r := puppets(t, "a", "b")
	id := openSession(r)
	msg := inSession(id, 1, run("a", ask(2, count+reply("done"))))
	round := r.apply(&Round{Messages: []Message{msg, msg}})
	wantStatus(t, round.Results[0], StatusPending)
	if round.Results[1].Ref != round.Results[0].Ref {
		t.Errorf("the copy is %+v", round.Results[1])
	}
	again := r.one(msg)
	wantStatus(t, again, StatusPending)
	if again.Ref != round.Results[0].Ref {
		t.Errorf("the retry waits for %v, want %v", again.Ref, round.Results[0].Ref)
	}
	restored := r.restored(Config{Engine: r.cfg.Engine})
	for _, replica := range []*replica{r, restored} {
		waited := make(chan error, 1)
		go func() {
			answer, err := replica.Await(context.Background(), again.Ref)
			if err == nil && string(answer.Reply) != "done" {
				err = errors.New("answer " + string(answer.Reply))
			}
			waited <- err
		}()
		replica.rest()
		if err := <-waited; err != nil {
			t.Error(err)
		}
		wantReply(t, replica.one(msg), "done")
		if answer, err := replica.Await(context.Background(), again.Ref); err != nil || string(answer.Reply) != "done" {
			t.Errorf("asked late: %+v, error %v", answer, err)
		}
	}
	if r.Latest() != restored.Latest() {
		t.Errorf("roots %v and %v", r.Latest(), restored.Latest())
	}
	wantStatus(t, r.one(inSession(id, 2, run("a", ask(2, reply("late"))))), StatusPending)
	wantReply(t, r.one(inSession(id, 3, run("a", reply("newer")))), "newer")
	r.rest()
	wantReply(t, r.one(inSession(id, 3, run("a", reply("x")))), "newer")

	// The end of an older message does not pass for that of a newer one, which is pending, too.
	wantStatus(t, r.one(inSession(id, 4, run("a", ask(2, reply("four"))))), StatusPending)
	r.apply(&Round{})
	five := inSession(id, 5, run("a", ask(2, reply("five"))))
	wantStatus(t, r.one(five), StatusPending) // four is answered in this round
	wantStatus(t, r.one(five), StatusPending)
	r.rest()
	wantReply(t, r.one(five), "five")
}

func TestAwaitEnds(t *testing.T) {
	r := puppets(t, "a", "b")
	pending := r.one(run("a", ask(2, reply(""))))
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := r.Await(ctx, pending.Ref); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
	if _, err := r.Await(context.Background(), Ref{Round: 1}); !errors.Is(err, ErrNotPending) {
		t.Errorf("error %v, want ErrNotPending", err)
	}
	waited := make(chan error)
	go func() {
		_, err := r.Await(context.Background(), pending.Ref)
		waited <- err
	}()
	reason := errors.New("the end")
	_ = r.stop(reason)
	if err := <-waited; !errors.Is(err, reason) {
		t.Errorf("error %v, want the machine's end", err)
	}
}

func TestATurnEndsWhenItsFuelIsUsed(t *testing.T) {
	r := puppets(t, "a", "b")
	once := call{to: 2, arg: count + reply("")}.script()
	wantReply(t, r.one(run("a", once+once+once+reply(""))), "")
	r.state.Limits.TurnFuel = 1
	for want := uint64(1); want <= 3; want++ {
		r.apply(&Round{})
		if got := r.count("b"); got != want {
			t.Fatalf("%d calls carried out after %d rounds", got, want)
		}
	}
}

// A best-effort call ends at its deadline, as SYS_UNKNOWN; the callee's own answer is dropped.
func TestBestEffortCallsEndAtTheirDeadline(t *testing.T) {
	r := puppets(t, "a", "b")
	r.state.Limits.TurnMessages = 1
	const second = 1_000_000_000
	impatient := call{to: 2, arg: count + reply("done"), onReply: count, onReject: replyCode}.script()
	round := r.apply(&Round{Time: second, Messages: []Message{run("a", within(5)+impatient)}})
	wantStatus(t, round.Results[0], StatusPending)
	if at, set := r.NextTimer(); !set || at != 6*second {
		t.Fatalf("the next deadline is %d, %v", at, set)
	}
	r.apply(&Round{Time: 2 * second})
	if r.count("b") != 1 {
		t.Fatalf("the callee has counted %d", r.count("b"))
	}
	done := r.rest() // in time: the reply runs the callback, which does not answer
	if len(done) != 1 || done[0].Result.Status != StatusNoReply || r.count("a") != 1 {
		t.Fatalf("completed %+v, count %d", done, r.count("a"))
	}
	if _, set := r.NextTimer(); set || r.HasWork() {
		t.Fatal("a call that was answered has a deadline")
	}
	// b waits for a's answer to a call of its own, which a takes only later: the deadline comes first.
	late := call{to: 2, arg: call{to: 1, arg: count + reply("to b"), onReply: count + reply("too late")}.script(), onReply: count + count, onReject: replyCode}.script()
	pending := r.apply(&Round{Time: 10 * second, Messages: []Message{run("a", certify("seal")+within(1)+late)}}).Results[0]
	wantStatus(t, pending, StatusPending)
	before := r.count("a")
	if r.HasWork() != true {
		t.Fatal("no work")
	}
	ended := r.apply(&Round{Time: 30 * second}) // the deadline is over, and b takes the call now
	if len(ended.Completed) != 1 || ended.Completed[0].Ref != pending.Ref {
		t.Fatalf("completed %+v", ended.Completed)
	}
	wantNumber(t, ended.Completed[0].Result, codeUnknown)
	restored := r.restored(Config{Engine: newEngine(t, canister.OptNone, sharedCache), Tracker: memstore.TrackerCompare})
	for _, replica := range []*replica{r, restored} {
		replica.rest()
		if got := replica.count("a") - before; got != 1 { // what b asked for; no callback has run twice
			t.Errorf("the caller has counted %d", got)
		}
	}
	if r.Latest() != restored.Latest() {
		t.Errorf("roots %v and %v", r.Latest(), restored.Latest())
	}
}

// Deadlines are exact to the nanosecond; those that come together end their calls in the order in which they were made; and a call has one
// response, which is the callee's if it was there before the deadline.
func TestDeadlinesEndEachCallOnce(t *testing.T) {
	const second = 1_000_000_000
	r := puppets(t, "a", "b")
	wantStatus(t, r.one(limits("", "TurnMessages=1")), StatusReplied)
	waiting := func(items, calls int) {
		t.Helper()
		if a := r.state.canister(1); len(a.Queue) != items || len(a.Calls) != calls {
			t.Fatalf("%d items wait at the caller, which has %d calls; want %d and %d", len(a.Queue), len(a.Calls), items, calls)
		}
	}
	told := func(s string) script {
		return call{to: 2, arg: reply(""), onReply: reply(s + " in time"), onReject: reply(s + " late")}.script()
	}
	counted := call{to: 2, arg: reply(""), onReply: count, onReject: count}.script()
	sent := r.apply(&Round{Time: second, Messages: []Message{
		run("a", within(9)+counted+within(5)+told("first")+told("second")+within(0)+counted),
	}})
	if at, set := r.NextTimer(); !set || at != 6*second {
		t.Fatalf("the next deadline is %d, %v", at, set)
	}
	r.apply(&Round{Time: 6*second - 1, Messages: []Message{run("a", reply(""))}})
	waiting(1, 4) // the response to the counted call, and no other
	r.apply(&Round{Time: 6 * second})
	waiting(3, 3) // both are late, and what b says to the first of them comes after that
	if at, set := r.NextTimer(); set {
		t.Fatalf("calls that have ended have a deadline, %d", at)
	}
	restored := r.restored(Config{Engine: newEngine(t, canister.OptNone, sharedCache), Tracker: memstore.TrackerCompare})
	for _, replica := range []*replica{r, restored} {
		done := replica.apply(&Round{Time: 7 * second}).Completed
		if len(done) != 1 || done[0].Ref != sent.Results[0].Ref {
			t.Fatalf("completed %+v", done)
		}
		wantReply(t, done[0].Result, "first late")
		replica.rest()
		pending := replica.apply(&Round{Time: 20 * second, Messages: []Message{run("a", within(5)+told("answer"))}}).Results[0]
		wantStatus(t, pending, StatusPending)
		replica.apply(&Round{Time: 21 * second})
		done = replica.apply(&Round{Time: 25 * second}).Completed
		if len(done) != 1 || replica.HasWork() {
			t.Fatalf("completed %+v, work %v", done, replica.HasWork())
		}
		wantReply(t, done[0].Result, "answer in time")
		wantStatus(t, replica.apply(&Round{Time: 30 * second, Messages: []Message{run("a", within(5)+told("answer"))}}).Results[0], StatusPending)
		done = replica.apply(&Round{Time: 35 * second}).Completed // nothing but the deadline wakes the caller
		if len(done) != 1 {
			t.Fatalf("completed %+v", done)
		}
		wantReply(t, done[0].Result, "answer late")
		replica.rest()
	}
	if r.Latest() != restored.Latest() {
		t.Errorf("roots %v and %v", r.Latest(), restored.Latest())
	}
}
