// Named formulas that refer to each other, in C++ with its standard library: classes with virtual methods, smart pointers, maps, hash
// maps, strings, closures and a static constructor are those of libc++.
//
//   update set     "NAME = FORMULA"   keeps a formula: numbers, names, + - * / ( ), sqrt(x); rejects what is none
//   query  value   "NAME"             replies the number; rejects what is unknown or refers to itself
//   query  list    ""                 replies all formulas by name, with how often each has been asked for by updates
//   update ask     "NAME"             value, and counts
//   update abort   ""                 keeps a formula, then runs into std::abort
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

extern "C" {
#include "../../canister/include/ic0.h"
}

namespace {

using Lookup = std::function<std::optional<double>(const std::string &)>;

struct Formula {
    virtual ~Formula() = default;
    virtual std::optional<double> value(const Lookup &lookup) const = 0;
    virtual std::string text() const = 0;
};
using Part = std::unique_ptr<Formula>;

std::string print(double x) {
    char buffer[64];
    snprintf(buffer, sizeof buffer, "%.10g", x);
    return buffer;
}

struct Number final : Formula {
    explicit Number(double x) : x(x) {}
    std::optional<double> value(const Lookup &) const override { return x; }
    std::string text() const override { return print(x); }
    double x;
};

struct Name final : Formula {
    explicit Name(std::string name) : name(std::move(name)) {}
    std::optional<double> value(const Lookup &lookup) const override { return lookup(name); }
    std::string text() const override { return name; }
    std::string name;
};

struct Root final : Formula {
    explicit Root(Part of) : of(std::move(of)) {}
    std::optional<double> value(const Lookup &lookup) const override {
        auto x = of->value(lookup);
        return x ? std::optional(std::sqrt(*x)) : std::nullopt;
    }
    std::string text() const override { return "sqrt(" + of->text() + ")"; }
    Part of;
};

struct Pair final : Formula {
    Pair(Part left, char sign, Part right) : left(std::move(left)), right(std::move(right)), sign(sign) {}
    std::optional<double> value(const Lookup &lookup) const override {
        auto a = left->value(lookup), b = right->value(lookup);
        if (!a || !b) return std::nullopt;
        switch (sign) {
        case '+': return *a + *b;
        case '-': return *a - *b;
        case '*': return *a * *b;
        default: return *a / *b;
        }
    }
    std::string text() const override { return "(" + left->text() + " " + sign + " " + right->text() + ")"; }
    Part left, right;
    char sign;
};

// Parser reads a formula; its parts are null where the text is none.
class Parser {
public:
    explicit Parser(const std::string &text) : text(text) {}
    Part all() {
        Part sum = this->sum();
        return at == text.size() ? std::move(sum) : nullptr;
    }

private:
    char next() {
        while (at < text.size() && text[at] == ' ') at++;
        return at < text.size() ? text[at] : 0;
    }
    Part chain(const char *signs, Part (Parser::*part)()) {
        Part left = (this->*part)();
        while (left && next() && std::string(signs).find(next()) != std::string::npos) {
            char sign = text[at++];
            Part right = (this->*part)();
            left = right ? std::make_unique<Pair>(std::move(left), sign, std::move(right)) : nullptr;
        }
        return left;
    }
    Part sum() { return chain("+-", &Parser::product); }
    Part product() { return chain("*/", &Parser::atom); }
    Part atom() {
        char c = next();
        if (c == '(') {
            at++;
            Part inner = sum();
            return inner && next() == ')' ? (at++, std::move(inner)) : nullptr;
        }
        size_t begin = at;
        if (isdigit(c)) {
            char *end;
            double x = strtod(text.c_str() + at, &end);
            at = end - text.c_str();
            return std::make_unique<Number>(x);
        }
        while (at < text.size() && isalpha(text[at])) at++;
        std::string word = text.substr(begin, at - begin);
        if (word.empty()) return nullptr;
        if (word != "sqrt" || next() != '(') return std::make_unique<Name>(word);
        Part of = atom();
        return of ? std::make_unique<Root>(std::move(of)) : nullptr;
    }
    const std::string &text;
    size_t at = 0;
};

std::map<std::string, Part> formulas;
std::unordered_map<std::string, unsigned> asked;

struct Constants {
    Constants() { formulas["pi"] = std::make_unique<Number>(3.14159265358979); }
} constants; // made by _initialize

std::string argument() {
    std::string text(ic0_msg_arg_data_size(), 0);
    ic0_msg_arg_data_copy(text.data(), 0, text.size());
    return text;
}
void reply(const std::string &text) {
    ic0_msg_reply_data_append(text.data(), text.size());
    ic0_msg_reply();
}
void reject(const std::string &text) { ic0_msg_reject(text.data(), text.size()); }

// value computes a formula; each name may come once on the way down.
std::optional<double> value(const std::string &name, std::vector<std::string> &way) {
    auto found = formulas.find(name);
    if (found == formulas.end() || std::find(way.begin(), way.end(), name) != way.end()) return std::nullopt;
    way.push_back(name);
    auto x = found->second->value([&](const std::string &other) { return value(other, way); });
    way.pop_back();
    return x;
}

void answer(const std::string &name) {
    std::vector<std::string> way;
    if (auto x = value(name, way))
        reply(print(*x));
    else
        reject(name + " is unknown, or refers to itself or to what is unknown");
}

} // namespace

UPDATE(set) {
    std::string text = argument();
    size_t sign = text.find(" = ");
    std::string formula = sign == std::string::npos ? "" : text.substr(sign + 3);
    Part parsed = Parser(formula).all();
    if (!parsed) return reject("expected: NAME = FORMULA");
    reply(parsed->text());
    formulas[text.substr(0, sign)] = std::move(parsed);
}

QUERY(value) { answer(argument()); }

UPDATE(ask) {
    std::string name = argument();
    asked[name]++;
    answer(name);
}

QUERY(list) {
    std::string out;
    for (const auto &[name, formula] : formulas) out += name + " = " + formula->text() + ", asked " + std::to_string(asked[name]) + "\n";
    reply(out);
}

UPDATE(abort) {
    formulas["lost"] = std::make_unique<Number>(1);
    std::abort();
}
