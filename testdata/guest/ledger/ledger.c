// Accounts and transfers as a WASI reactor: C with its standard library, whose
// allocator, formatted output, sorting, clock and randomness are those of
// wasi-libc. Messages come and go through the System API.
//
//   update open      "NAME AMOUNT"          replies the account's number
//   update transfer  "FROM TO AMOUNT"       replies both balances; rejects what is not covered
//   update lottery   ""                     gives one unit to a random account, replies its name
//   query  report    ""                     replies all accounts, the richest first
//   update exit      ""                     opens an account, then calls exit(3)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../canister/include/ic0.h"

struct account {
    char *name;
    long long balance;
    time_t opened;
};

static struct account *accounts;
static size_t count, room;
static int started; // set by a constructor, which _initialize runs

__attribute__((constructor)) static void start(void) { started = 1; }

// argument reads the message's argument; the caller frees it.
static char *argument(void) {
    size_t size = ic0_msg_arg_data_size();
    char *text = malloc(size + 1);
    if (text == NULL) abort();
    ic0_msg_arg_data_copy(text, 0, size);
    text[size] = 0;
    return text;
}

static void reply(const char *text) {
    ic0_msg_reply_data_append(text, strlen(text));
    ic0_msg_reply();
}

static void reject(const char *text) { ic0_msg_reject(text, strlen(text)); }

static struct account *find(const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(accounts[i].name, name) == 0) return &accounts[i];
    return NULL;
}

static void open_account(const char *name, long long balance) {
    if (count == room) {
        room = room ? 2 * room : 4;
        accounts = realloc(accounts, room * sizeof *accounts);
        if (accounts == NULL) abort();
    }
    accounts[count++] = (struct account){strdup(name), balance, time(NULL)};
    printf("account %zu is %s's\n", count, name);
}

UPDATE(open) {
    char name[64], number[32], *text = argument();
    long long balance;
    int fields = sscanf(text, "%63s %lld", name, &balance);
    free(text);
    if (fields != 2 || balance < 0) {
        reject("expected: NAME AMOUNT");
        return;
    }
    if (find(name) != NULL) {
        reject("the account exists");
        return;
    }
    open_account(name, balance);
    snprintf(number, sizeof number, "%zu%s", count, started ? "" : " (not initialized)");
    reply(number);
}

UPDATE(transfer) {
    char from[64], to[64], answer[256], *text = argument();
    long long amount;
    int fields = sscanf(text, "%63s %63s %lld", from, to, &amount);
    free(text);
    struct account *source = fields == 3 ? find(from) : NULL, *target = fields == 3 ? find(to) : NULL;
    if (source == NULL || target == NULL || amount < 0) {
        reject("expected: FROM TO AMOUNT");
        return;
    }
    if (source->balance < amount) {
        snprintf(answer, sizeof answer, "%s has %lld, not %lld", from, source->balance, amount);
        reject(answer);
        return;
    }
    source->balance -= amount;
    target->balance += amount;
    snprintf(answer, sizeof answer, "%s %lld, %s %lld", from, source->balance, to, target->balance);
    reply(answer);
}

UPDATE(lottery) {
    unsigned number;
    if (count == 0) {
        reject("there is no account");
        return;
    }
    if (getentropy(&number, sizeof number) != 0) abort();
    struct account *winner = &accounts[number % count];
    winner->balance++;
    reply(winner->name);
}

static int by_balance(const void *a, const void *b) {
    const struct account *x = a, *y = b;
    if (x->balance != y->balance) return x->balance < y->balance ? 1 : -1;
    return strcmp(x->name, y->name);
}

QUERY(report) {
    qsort(accounts, count, sizeof *accounts, by_balance);
    long long total = 0;
    for (size_t i = 0; i < count; i++) total += accounts[i].balance;
    for (size_t i = 0; i < count; i++) {
        char line[160], day[32];
        strftime(day, sizeof day, "%Y-%m-%d", gmtime(&accounts[i].opened));
        double share = total ? 100.0 * (double)accounts[i].balance / (double)total : 0;
        int size = snprintf(line, sizeof line, "%-8s %6lld %5.1f%% since %s\n", accounts[i].name, accounts[i].balance, share, day);
        ic0_msg_reply_data_append(line, size);
    }
    ic0_msg_reply();
}

UPDATE(exit) {
    open_account("nobody", 1);
    exit(3);
}
