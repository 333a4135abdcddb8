// params.h: arguments of the form "pages=1000 seed=7 stride=1": names with unsigned decimal numbers, in any order,
// between spaces, commas or newlines. What is left out keeps its default.
#ifndef PARAMS_H
#define PARAMS_H

#include "text.h"

struct param {
    const char *name;
    uint64_t *value;
};

// MAX_PARAMS_TEXT bounds the argument: parameters need no more, and it must fit the reader's stack.
enum { MAX_PARAMS_TEXT = 512 };

static struct text param_name(const struct param *p) {
    uint32_t size = 0;
    while (p->name[size] != 0) size++;
    return (struct text){p->name, size};
}

// params_refuse rejects the message: what was wrong with which word, and which parameters there are.
static int params_refuse(struct text why, struct text word, const struct param *known, uint32_t count) {
    static char room[1024];
    uint32_t used = 0;
    struct text pieces[] = {why, TEXT(" \""), word, TEXT("\"; this method takes")};
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t j = 0; j < pieces[i].size; j++) room[used++] = pieces[i].at[j];
    for (uint32_t i = 0; i < count; i++) {
        struct text name = param_name(&known[i]);
        room[used++] = ' ';
        for (uint32_t j = 0; j < name.size; j++) room[used++] = name.at[j];
        room[used++] = '=';
    }
    reject((struct text){room, used});
    return 0;
}

static int params_set(struct text word, const struct param *known, uint32_t count) {
    struct text name, number;
    if (!text_cut(word, '=', &name, &number)) return params_refuse(TEXT("no = in"), word, known, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!text_equal(param_name(&known[i]), name)) continue;
        if (text_to_unsigned(number, known[i].value)) return 1;
        return params_refuse(TEXT("not a number:"), word, known, count);
    }
    return params_refuse(TEXT("unknown parameter"), word, known, count);
}

// params_read fills in the values from the message's argument. On 0 the message has been rejected already.
static int params_read(const struct param *known, uint32_t count) {
    char argument[MAX_PARAMS_TEXT];
    uint32_t size = ic0_msg_arg_data_size(), start = 0;
    if (size > MAX_PARAMS_TEXT) {
        reject(TEXT("argument too long: at most 512 bytes of name=number"));
        return 0;
    }
    ic0_msg_arg_data_copy(argument, 0, size);
    for (uint32_t i = 0; i <= size; i++) {
        if (i < size && argument[i] != ' ' && argument[i] != ',' && argument[i] != '\n') continue;
        if (i > start && !params_set((struct text){argument + start, i - start}, known, count)) return 0;
        start = i + 1;
    }
    return 1;
}

#endif
