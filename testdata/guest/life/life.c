// Conway's Game of Life on a torus of 64 x 64 cells, in C without a library:
// all state is one array, and nothing is imported but the System API.
//
//   update set    rows of '.' and '#', from the upper left corner   replies the number of living cells
//   update step   a decimal number of generations                   replies the number of living cells
//   query  show   width and height, as in "8x3"                     replies rows as set takes them
#include "../../canister/include/ic0.h"

enum { SIDE = 64, MAX_ARGUMENT = SIDE * (SIDE + 1) };

static uint8_t board[2][SIDE][SIDE];
static uint32_t now; // which of the two boards is current
static char argument[MAX_ARGUMENT + 1];

static uint32_t read_argument(void) {
    uint32_t size = ic0_msg_arg_data_size();
    if (size > MAX_ARGUMENT) ic0_trap("argument too long", 17);
    ic0_msg_arg_data_copy(argument, 0, size);
    argument[size] = 0;
    return size;
}

static const char *read_number(const char *at, uint32_t *number) {
    if (*at < '0' || *at > '9') ic0_trap("expected a number", 17);
    for (*number = 0; *at >= '0' && *at <= '9'; at++) *number = *number * 10 + (uint32_t)(*at - '0');
    return at;
}

static void reply_living(void) {
    char digits[10];
    uint32_t living = 0, first = sizeof digits;
    for (uint32_t i = 0; i < SIDE * SIDE; i++) living += board[now][i / SIDE][i % SIDE];
    do digits[--first] = (char)('0' + living % 10);
    while ((living /= 10) > 0);
    ic0_msg_reply_data_append(digits + first, (uint32_t)sizeof digits - first);
    ic0_msg_reply();
}

static uint32_t neighbours(uint32_t row, uint32_t column) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < 9; i++)
        if (i != 4) count += board[now][(row + SIDE - 1 + i / 3) % SIDE][(column + SIDE - 1 + i % 3) % SIDE];
    return count;
}

UPDATE(set) {
    uint32_t size = read_argument(), row = 0, column = 0;
    __builtin_memset(board, 0, sizeof board);
    for (uint32_t i = 0; i < size; i++) {
        if (argument[i] == '\n') {
            row = (row + 1) % SIDE;
            column = 0;
            continue;
        }
        board[now][row][column] = argument[i] == '#';
        column = (column + 1) % SIDE;
    }
    reply_living();
}

UPDATE(step) {
    uint32_t generations;
    read_argument();
    read_number(argument, &generations);
    for (; generations > 0; generations--) {
        for (uint32_t row = 0; row < SIDE; row++)
            for (uint32_t column = 0; column < SIDE; column++) {
                uint32_t around = neighbours(row, column);
                board[!now][row][column] = around == 3 || (around == 2 && board[now][row][column]);
            }
        now = !now;
    }
    reply_living();
}

QUERY(show) {
    uint32_t width, height;
    read_argument();
    const char *at = read_number(argument, &width);
    if (*at != 'x') ic0_trap("expected WIDTHxHEIGHT", 21);
    read_number(at + 1, &height);
    if (width > SIDE || height > SIDE) ic0_trap("at most 64x64", 13);
    for (uint32_t row = 0; row < height; row++) {
        for (uint32_t column = 0; column < width; column++)
            argument[column] = board[now][row][column] ? '#' : '.';
        argument[width] = '\n';
        ic0_msg_reply_data_append(argument, width + 1);
    }
    ic0_msg_reply();
}
