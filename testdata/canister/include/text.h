// text.h: pieces of text, and numbers to and from text.
//
// A struct text points into memory that somebody else keeps; it owns nothing and need not end with a zero byte.
#ifndef TEXT_H
#define TEXT_H

#include "ic0.h"

struct text {
    const char *at;
    uint32_t size;
};

// TEXT makes a struct text of a string literal.
#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})

static int text_equal(struct text a, struct text b) {
    if (a.size != b.size) return 0;
    for (uint32_t i = 0; i < a.size; i++)
        if (a.at[i] != b.at[i]) return 0;
    return 1;
}

// text_cut splits at the first separator. With none, all of it is head and the answer is 0.
static int text_cut(struct text whole, char separator, struct text *head, struct text *tail) {
    for (uint32_t i = 0; i < whole.size; i++) {
        if (whole.at[i] != separator) continue;
        *head = (struct text){whole.at, i};
        *tail = (struct text){whole.at + i + 1, whole.size - i - 1};
        return 1;
    }
    *head = whole;
    *tail = (struct text){whole.at + whole.size, 0};
    return 0;
}

// text_to_unsigned reads decimal digits. It answers 0 for anything else, and for what does not fit 64 bits.
static int text_to_unsigned(struct text t, uint64_t *number) {
    uint64_t n = 0;
    if (t.size == 0) return 0;
    for (uint32_t i = 0; i < t.size; i++) {
        uint64_t digit = (uint64_t)(t.at[i] - '0');
        if (digit > 9 || n > (UINT64_MAX - digit) / 10) return 0;
        n = n * 10 + digit;
    }
    *number = n;
    return 1;
}

// text_to_signed is text_to_unsigned with an optional sign in front.
static int text_to_signed(struct text t, int64_t *number) {
    int negative = t.size > 0 && t.at[0] == '-';
    uint64_t n;
    if (t.size > 0 && (t.at[0] == '-' || t.at[0] == '+')) t.at++, t.size--;
    if (!text_to_unsigned(t, &n) || n > (uint64_t)INT64_MAX + (uint64_t)negative) return 0;
    *number = (int64_t)(negative ? 0 - n : n);
    return 1;
}

// MAX_DIGITS is the room that a 64-bit number with its sign can need.
enum { MAX_DIGITS = 20 };

// text_of_unsigned writes the number into the room (MAX_DIGITS bytes) and returns the part of it that it used.
static struct text text_of_unsigned(uint64_t number, char *room) {
    uint32_t first = MAX_DIGITS;
    do {
        room[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return (struct text){room + first, MAX_DIGITS - first};
}

static struct text text_of_signed(int64_t number, char *room) {
    if (number >= 0) return text_of_unsigned((uint64_t)number, room);
    struct text digits = text_of_unsigned(0 - (uint64_t)number, room);
    *(char *)(digits.at - 1) = '-';
    return (struct text){digits.at - 1, digits.size + 1};
}

// say appends text to the reply, say_number a number; answer sends what has been said.
static void say(struct text t) { ic0_msg_reply_data_append(t.at, t.size); }

static void say_number(uint64_t number) {
    char room[MAX_DIGITS];
    say(text_of_unsigned(number, room));
}

static void answer(struct text t) {
    say(t);
    ic0_msg_reply();
}

static void reject(struct text t) { ic0_msg_reject(t.at, t.size); }

__attribute__((noreturn)) static void trap(struct text t) { ic0_trap(t.at, t.size); }

#endif
