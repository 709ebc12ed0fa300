/* Chapters 01 and 03: types, saturation, rounding, requantization. */
#include "consumer.h"

/* k bits: unsigned (form 0), two's complement (1), symmetric (2). */
static Type span(int form, int k) {
    I half = 1LL << (k - 1);
    return form ? (Type){form - 1 - half, half - 1} : (Type){0, 2 * half - 1};
}

/* [1.1.2] */
Type parse_type(const char *name) {
    static const char *const forms[] = {"uint", "int", "sint"};
    char same[64] = "ternary";
    Type t = {-1, 1};
    for (int i = 0; i < 96 && strcmp(same, name); i++) {
        int k = i / 3 + 1 + (i % 3 == 2);
        sprintf(same, "%s%d", forms[i % 3], k);
        t = span(i % 3, k);
    }
    if (strcmp(same, name) && sscanf(name, "int[%lld,%lld]", &t.lo, &t.hi) == 2)
        sprintf(same, "int[%lld,%lld]", t.lo, t.hi);
    require(!strcmp(same, name), "[1.1.2] a type name");
    require(INT32_MIN <= t.lo && t.lo <= t.hi && t.hi <= INT32_MAX, "[1.1.1]");
    return t;
}

/* [1.1.3] */
int bits_of(Type t) {
    int k = 1;
    while (t.lo < span(t.lo < 0, k).lo || t.hi > span(t.lo < 0, k).hi) k++;
    return k;
}

/* [1.3.1] */
Type bounded(W lo, W hi) {
    require(lo >= -2147483646 && hi <= 2147483646, "[1.3.1] the accumulator");
    return (Type){(I)lo, (I)hi};
}

I saturate(W x, I lo, I hi) { return x < lo ? lo : x > hi ? hi : (I)x; }

int rounding_of(const Json *attributes) {
    static const char *const rules[] = {"half_even", "half_up", "half_away"};
    int i = 0;
    while (i < 3 && strcmp(word(attributes, "rounding"), rules[i])) i++;
    require(i < 3, "[3.1.2] a rounding rule");
    return i;
}

/* [3.1.1] n / d, d > 0, to the nearest; a tie to the even (0), up (1), away from zero (2). */
W divide(W n, W d, int rule) {
    W q = n / d - (n % d < 0), rest = n - q * d;
    if (2 * rest != d) return q + (2 * rest > d);
    return rule == 0 ? q + (q & 1) : rule == 1 ? q + 1 : q + (n > 0);
}

/* [3.2.2] */
I requantized(I acc, I mult, I shift, Type t, int rule) {
    require(mult >= -32767 && mult <= 32767 && shift >= 0 && shift <= 46, "[3.2.1]");
    bounded(acc, acc);
    return saturate(divide((W)acc * mult, (W)1 << shift, rule), t.lo, t.hi);
}

/* saturate [1.4.1]: x; rounding_shift [3.1.1]: x, shift; requantize [3.2.2]: acc, mult, shift. */
void elementwise(Question *ask) {
    Array *x = ask->x[0];
    Type t = {INT64_MIN, INT64_MAX};
    int rule = ask->count > 1 ? rounding_of(ask->attributes) : 0;
    if (ask->count == 1) t.lo = integer(get(ask->attributes, "lo"), t.lo, t.hi);
    if (ask->count == 1) t.hi = integer(get(ask->attributes, "hi"), t.lo, t.hi);
    if (ask->count == 3) t = parse_type(word(ask->attributes, "type"));
    ask->y = array(t, x->rank, x->shape);
    for (I i = 0; i < x->size; i++) {
        I shift = ask->count > 1 ? ask->x[ask->count - 1]->v[i] : 0;
        require(shift >= 0, "[3.1.1]");
        W d = (W)1 << saturate(shift, 0, 100);
        if (ask->count < 3) ask->y->v[i] = saturate(divide(x->v[i], d, rule), t.lo, t.hi);
        else ask->y->v[i] = requantized(x->v[i], ask->x[1]->v[i], shift, t, rule);
    }
}
