// bank: accounts in stable memory, and transfers to another bank by calls. Whatever goes wrong on the way, and in whatever round
// replicas crash, no money is made and none is lost: that is what this canister is for.
//
//   transfer account= seed=   moves 1 to 9 from an account to the same account of the other bank and waits for the end; the seed
//                             says how much, and what goes wrong. Replies "moved"; rejects when the money was put back
//   later    account=         the same from a timer, one transfer a message; replies how many are due
//   deposit  (from a bank)    16 bytes, amount and way, then anything: takes money in
//   note     (from itself)    replies; what a slow deposit waits for
//   leak     account=         loses money: for testing those who look for that
//   audit                     query: the books, as name=number with spaces between
//
// Banks are in pairs: canisters 1 and 2 of a cluster, 3 and 4, and so on. The books of one bank always fulfil
//   balance = opening - debited + refunded + received   and   confirmed + refunded <= debited
// and those of a pair, each at any moment of its own:
//   received there <= debited here - refunded here   if there is not later,   received there >= confirmed here   if it is not earlier.
// Nothing is on its way when debited = confirmed + refunded. Everything but the count of heartbeats is in stable memory, so an upgrade keeps it.
#include "params.h"

enum { ACCOUNTS = 64, OPENING = 1000, BOOKS_AT = 0, ACCOUNTS_AT = 4096, MAX_AMOUNT = 9, LARGE = 100 << 10, REARM = 16 };

static const int64_t delay = 20 * 1000 * 1000;  // of a timer, ns

struct books {
    uint64_t opening, debited, refunded, confirmed, received, due, upgrades;
};

// The ways of a transfer. All others are plain.
enum way { REJECTS = 20, TRAPS = 22, SILENT = 24, SLOW = 25, LARGE_WAY = 27, CALLBACK_TRAPS, NO_METHOD, NO_CANISTER, CALLER_TRAPS, WAYS };

// What a callback is told, in its env: the amount, the account, and what it shall do.
enum env { ACCOUNT_SHIFT = 8, NOBODY_WAITS = 1 << 16, TRAP_FIRST = 1 << 17 };

static struct books books;
static uint32_t beats;
static char large[LARGE];

static void read_books(void) { ic0_stable64_read((uintptr_t)&books, BOOKS_AT, sizeof books); }
static void write_books(void) { ic0_stable64_write(BOOKS_AT, (uintptr_t)&books, sizeof books); }

static uint64_t account_read(uint32_t account) {
    uint64_t balance;
    ic0_stable64_read((uintptr_t)&balance, ACCOUNTS_AT + 8 * account, 8);
    return balance;
}

static void account_write(uint32_t account, uint64_t balance) { ic0_stable64_write(ACCOUNTS_AT + 8 * account, (uintptr_t)&balance, 8); }

static void account_add(uint32_t account, uint64_t amount) { account_write(account, account_read(account) + amount); }

INIT {
    if (ic0_stable64_grow(1) != 0) trap(TEXT("bank: stable memory is not new"));
    books.opening = (uint64_t)ACCOUNTS * OPENING;
    write_books();
    for (uint32_t a = 0; a < ACCOUNTS; a++) account_write(a, OPENING);
}

// An upgrade puts the timer out.
static void rearm(void) {
    if (books.due > 0) ic0_global_timer_set(ic0_time() + delay);
}

ENTRY(post_upgrade) {
    read_books();
    books.upgrades++;
    write_books();
    rearm();
}

// A timer that trapped, or found the bank stopped, is set again some rounds later.
ENTRY(heartbeat) {
    if (++beats % REARM != 0) return;
    read_books();
    rearm();
}

// The three ends of a call: the other bank has the money, it does not, or the callback trapped behind the first of these.
static void confirm(uint32_t env) {
    read_books();
    books.confirmed += env & 255;
    write_books();
}

static void on_moved(uint32_t env) {
    confirm(env);
    if (env & TRAP_FIRST) trap(TEXT("bank: trapped after the transfer"));
    if (!(env & NOBODY_WAITS)) answer(TEXT("moved"));
}

static void put_back(uint32_t env) {
    read_books();
    books.refunded += env & 255;
    write_books();
    account_add(env >> ACCOUNT_SHIFT & 255, env & 255);
}

static void on_refused(uint32_t env) {
    put_back(env);
    if (!(env & NOBODY_WAITS)) reject(TEXT("bank: the other bank did not take the money"));
}

// partner is the other bank of the pair; 10 bytes.
static void partner(uint8_t *id) {
    ic0_canister_self_copy(id, 0, 10);
    id[7] = (uint8_t)((id[7] - 1 ^ 1) + 1);
}

// move takes the money from the account and sends it. It answers 0 if the account has too little, or no call can be made.
static int move(uint32_t account, uint64_t amount, enum way way, uint32_t env) {
    struct text method = way == NO_METHOD ? TEXT("withdraw") : TEXT("deposit");
    uint64_t argument[2] = {amount, (uint64_t)way};
    uint8_t callee[10];
    uint64_t balance = account_read(account);
    if (balance < amount) return 0;
    read_books();
    account_write(account, balance - amount);
    books.debited += amount;
    write_books();
    partner(callee);
    if (way == NO_CANISTER) callee[0] = 0x7f;
    env |= (uint32_t)amount | account << ACCOUNT_SHIFT | (way == CALLBACK_TRAPS ? TRAP_FIRST : 0);
    ic0_call_new(callee, sizeof callee, method.at, method.size, on_moved, env, on_refused, env);
    ic0_call_on_cleanup(confirm, env);
    ic0_call_data_append(argument, sizeof argument);
    if (way == LARGE_WAY) ic0_call_data_append(large, sizeof large);
    if (ic0_call_perform() == 0) return 1;
    put_back(env);
    return 0;
}

UPDATE(transfer) {
    uint64_t account = 0, seed = 0;
    const struct param known[] = {{"account", &account}, {"seed", &seed}};
    if (!params_read(known, sizeof known / sizeof *known)) return;
    enum way way = (enum way)(seed / 16 % WAYS);
    if (!move((uint32_t)(account % ACCOUNTS), 1 + seed % MAX_AMOUNT, way, 0)) reject(TEXT("bank: the account has too little, or no call can be made"));
    if (way == CALLER_TRAPS) trap(TEXT("bank: trapped before the transfer"));
}

UPDATE(later) {
    uint64_t account = 0;
    const struct param known[] = {{"account", &account}};
    if (!params_read(known, 1)) return;
    read_books();
    books.due++;
    write_books();
    rearm();
    say_number(books.due);
    ic0_msg_reply();
}

ENTRY(global_timer) {
    read_books();
    if (books.due == 0) return;
    books.due--;
    write_books();
    move((uint32_t)(books.debited % ACCOUNTS), 1, 0, NOBODY_WAITS);
    rearm();
}

static void take_in(uint32_t amount) {
    read_books();
    books.received += amount;
    write_books();
    account_add((uint32_t)(books.received % ACCOUNTS), amount);
}

static void on_noted(uint32_t amount) {
    take_in(amount);
    answer(TEXT(""));
}

static void on_not_noted(uint32_t amount) {
    (void)amount;
    reject(TEXT("bank: the note could not be taken"));
}

static void take_slowly(uint32_t amount) {
    uint8_t self[10];
    ic0_canister_self_copy(self, 0, sizeof self);
    ic0_call_new(self, sizeof self, "note", 4, on_noted, amount, on_not_noted, amount);
    if (ic0_call_perform() != 0) on_not_noted(amount);
}

UPDATE(deposit) {
    uint64_t argument[2];
    ic0_msg_arg_data_copy(argument, 0, sizeof argument);
    uint32_t amount = (uint32_t)argument[0], way = (uint32_t)argument[1];
    if (way == SILENT) return;
    if (way == SLOW || way == SLOW + 1) {
        take_slowly(amount);
        return;
    }
    if (way == REJECTS || way == REJECTS + 1) {
        reject(TEXT("bank: rejected on purpose"));
        return;
    }
    take_in(amount);
    if (way == TRAPS || way == TRAPS + 1) trap(TEXT("bank: trapped on purpose"));
    if (way == LARGE_WAY) say((struct text){large, sizeof large});
    ic0_msg_reply();
}

UPDATE(note) { answer(TEXT("")); }

UPDATE(leak) {
    uint64_t account = 0;
    const struct param known[] = {{"account", &account}};
    if (!params_read(known, 1)) return;
    uint64_t balance = account_read((uint32_t)(account % ACCOUNTS));
    if (balance > 0) account_write((uint32_t)(account % ACCOUNTS), balance - 1);
    answer(TEXT("lost"));
}

static void say_book(struct text name, uint64_t number) {
    say(name);
    say(TEXT("="));
    say_number(number);
    say(TEXT(" "));
}

QUERY(audit) {
    uint64_t accounts[ACCOUNTS], balance = 0;
    ic0_stable64_read((uintptr_t)accounts, ACCOUNTS_AT, sizeof accounts);
    for (uint32_t a = 0; a < ACCOUNTS; a++) balance += accounts[a];
    read_books();
    say_book(TEXT("balance"), balance);
    say_book(TEXT("opening"), books.opening);
    say_book(TEXT("debited"), books.debited);
    say_book(TEXT("refunded"), books.refunded);
    say_book(TEXT("confirmed"), books.confirmed);
    say_book(TEXT("received"), books.received);
    say_book(TEXT("due"), books.due);
    say_book(TEXT("upgrades"), books.upgrades);
    ic0_msg_reply();
}
