/* Chapters 01 and 03: types, rounding, requantization, ratios, integer thresholds. */
#include "consumer.h"

static const I BOUND = 2147483646;
static const char *const RULES[] = {"half_even", "half_up", "half_away"};

/* [1.1.2] */
Type parse_type(const char *name) {
    long long lo, hi;
    char sign[4] = "", tail[2], check[64];
    if (!strcmp(name, "ternary")) return (Type){-1, 1};
    if (sscanf(name, "int[%lld,%lld]%1s", &lo, &hi, tail) == 2) {
        snprintf(check, sizeof check, "int[%lld,%lld]", lo, hi);
        require(!strcmp(check, name), "a type name");
    } else {
        int signs = name[0] == 'u' || name[0] == 's', k = 0;
        snprintf(sign, sizeof sign, "%.*s", signs, name);
        require(!strncmp(name + signs, "int", 3), "a type name");
        const char *digits = name + signs + 3;
        require(digits[0] >= '1' && digits[0] <= '9', "a type name");
        for (; *digits >= '0' && *digits <= '9' && k < 100; digits++) k = 10 * k + *digits - '0';
        require(!*digits && k <= 32 && (k >= 2 || sign[0] != 's'), "a type name");
        hi = sign[0] == 'u' ? power(k) - 1 : power(k - 1) - 1;
        lo = sign[0] == 'u' ? 0 : sign[0] == 's' ? -hi : -hi - 1;
    }
    require(-2147483648LL <= lo && lo <= hi && hi <= 2147483647, "[1.1.1]");
    return (Type){lo, hi};
}

void type_name(Type t, char *name) {
    if (t.lo == -1 && t.hi == 1) { strcpy(name, "ternary"); return; }
    for (int k = 1; k <= 32; k++) {
        I half = power(k - 1);
        if (t.lo == 0 && t.hi == 2 * half - 1) { sprintf(name, "uint%d", k); return; }
        if (t.lo == -half && t.hi == half - 1) { sprintf(name, "int%d", k); return; }
        if (k > 1 && t.lo == 1 - half && t.hi == half - 1) { sprintf(name, "sint%d", k); return; }
    }
    sprintf(name, "int[%lld,%lld]", (long long)t.lo, (long long)t.hi);
}

/* [1.1.3] */
int bits_of(Type t) {
    int k = 1;
    while (t.lo >= 0 ? t.hi >= power(k) : t.lo < -power(k - 1) || t.hi >= power(k - 1)) k++;
    return k;
}

int storage_of(Type t, int *is_signed) {
    for (int bits = 8; bits < 32; bits *= 2) {
        I half = power(bits - 1);
        *is_signed = 1;
        if (t.lo >= -half && t.hi < half) return bits;
        *is_signed = 0;
        if (t.lo >= 0 && t.hi < 2 * half) return bits;
    }
    *is_signed = 1;
    return 32;
}

/* [1.3.1] */
Type bounded(W lo, W hi) {
    require(lo >= -BOUND && hi <= BOUND, "[1.3.1] the accumulator");
    return (Type){(I)lo, (I)hi};
}

I saturate(I x, I lo, I hi) { return x < lo ? lo : x > hi ? hi : x; }
I power(int shift) { return (I)1 << shift; }

int rounding_of(const Json *attributes) {
    const char *name = string(get(attributes, "rounding"));
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, RULES[i])) return i;
    refuse("[3.1.2] a rounding rule");
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
    require(acc >= -BOUND && acc <= BOUND, "[1.3.1]");
    return saturate((I)divide((W)acc * mult, power((int)shift), rule), t.lo, t.hi);
}

/* [3.3.1] of n / d * 2**e, d > 0 */
static void ratio(W n, W d, int e, I *mult, I *shift) {
    W size = n < 0 ? -n : n, m = 0;
    int s = n ? 46 : 0;
    for (; n && s >= 0; s--) {
        int k = e + s;
        if (k > 63 || (k > 0 && size > ((W)1 << 100 >> k))) continue;
        m = k >= 0 ? divide(size * ((W)1 << k), d, 0) : k < -63 ? 0 : divide(size, d * ((W)1 << -k), 0);
        if (m <= 32767) break;
    }
    require(s >= 0, "[3.3.1] negative shift");
    *mult = (I)(n < 0 ? -m : m), *shift = s;
}

/* The sign of scale*t + offset - v, exact: a fixed-point number of 2304 bits, 2**-1130 a unit. */
static int compare(double scale, I t, double offset, double v) {
    uint32_t limbs[72] = {0}, any = 0;
    double terms[] = {scale, offset, -v};
    for (int i = 0; i < 3; i++) {
        int e;
        W c = (W)(I)ldexp(frexp(terms[i], &e), 53) * (i ? 1 : t);
        if (!c) continue;
        e += 1130 - 53, c *= (W)1 << e % 32;
        for (int k = e / 32; k < 72; k++, c >>= 32) c += limbs[k], limbs[k] = (uint32_t)c;
    }
    for (int k = 0; k < 72; k++) any |= limbs[k];
    return limbs[71] >> 31 ? -1 : any != 0;
}

/* [3.4]: the least t of the range whose real number passes the level, by bisection. */
static void thresholds(const Json *attributes) {
    fields(attributes, "acc");
    Array *levels = operand("levels"), *scale = operand("scale"), *offset = operand("offset");
    Type acc = parse_type(string(get(attributes, "acc")));
    bounded(acc.lo, acc.hi);
    I shape[] = {scale->size, levels->size};
    Array *t = array("t", acc, 2, shape), *sign = array("sign", acc, 1, shape);
    give(t), give(sign);
    require(offset->size == scale->size, "[3.4] sizes");
    for (I c = 0; c < scale->size; c++) {
        sign->v[c] = scale->r[c] < 0 ? -1 : 1;
        I lo = scale->r[c] < 0 ? -acc.hi : acc.lo, hi = scale->r[c] < 0 ? -acc.lo : acc.hi;
        require(isfinite(scale->r[c]) && isfinite(offset->r[c]), "[3.4.2] finite");
        for (I k = 0; k < levels->size; k++) {
            require(isfinite(levels->r[k]) && (!k || levels->r[k - 1] <= levels->r[k]), "[3.4.1]");
            I never = lo - 1, passes = hi + 1;
            while (passes - never > 1) {
                I middle = never + (passes - never) / 2;
                if (compare(fabs(scale->r[c]), middle, offset->r[c], levels->r[k]) > 0) passes = middle;
                else never = middle;
            }
            t->v[c * levels->size + k] = passes;
        }
    }
}

static I one(const Array *a, I i) { return a->v[a->size == 1 ? 0 : i]; }

static Array *widest(const char *name, int n) {
    Array *most = operands[0];
    for (int i = 1; i < n; i++) if (operands[i]->size > most->size) most = operands[i];
    Array *y = array(name, most->type, most->rank, most->shape);
    give(y);
    return y;
}

void numbers(const char *op, const Json *attributes) {
    if (!strcmp(op, "integer_type")) {
        int is_signed;
        char name[64];
        Type t = parse_type(string(get(attributes, "name")));
        type_name(t, name);
        Array *range = vector("range", 2), *bits = vector("bits", 1), *storage = vector("storage", 2);
        Array *canonical = vector("canonical", (I)strlen(name));
        range->v[0] = t.lo, range->v[1] = t.hi, bits->v[0] = bits_of(t);
        storage->v[0] = storage_of(t, &is_signed), storage->v[1] = is_signed;
        for (I i = 0; i < canonical->size; i++) canonical->v[i] = name[i];
    } else if (!strcmp(op, "saturate")) {
        fields(attributes, "lo hi");
        I lo = integer(get(attributes, "lo"), INT64_MIN, INT64_MAX);
        I hi = integer(get(attributes, "hi"), lo, INT64_MAX);
        Array *y = widest("y", 1);
        for (I i = 0; i < y->size; i++) y->v[i] = saturate(one(operand("x"), i), lo, hi);
    } else if (!strcmp(op, "rounding_shift")) {
        fields(attributes, "rounding");
        int rule = rounding_of(attributes);
        Array *y = widest("y", 2), *x = operand("x"), *shift = operand("shift");
        for (I i = 0; i < y->size; i++) {
            require(one(shift, i) >= 0, "[3.1.1]");
            y->v[i] = (I)divide(one(x, i), (W)1 << saturate(one(shift, i), 0, 100), rule);
        }
    } else if (!strcmp(op, "requantize")) {
        fields(attributes, "type rounding");
        Type t = parse_type(string(get(attributes, "type")));
        int rule = rounding_of(attributes);
        Array *y = widest("y", 3), *acc = operand("acc"), *m = operand("mult"), *s = operand("shift");
        for (I i = 0; i < y->size; i++) y->v[i] = requantized(one(acc, i), one(m, i), one(s, i), t, rule);
    } else if (!strcmp(op, "ratio_to_mult_shift")) {
        Array *r = operands[0], *mult = vector("mult", r->size), *shift = vector("shift", r->size);
        for (I i = 0; i < r->size; i++) {
            int e = 0;
            if (!r->r) ratio(r->v[i], operand("denominator")->v[i], 0, mult->v + i, shift->v + i);
            else {
                require(isfinite(r->r[i]), "[3.3.1] finite");
                I m = (I)ldexp(frexp(r->r[i], &e), 53);
                ratio(m, 1, e - 53, mult->v + i, shift->v + i);
            }
        }
    } else if (!strcmp(op, "integer_thresholds")) thresholds(attributes);
}
