/* Chapter 02: codes and bytes. A packing is rows of digits; the first code takes the lowest place. */
#include "consumer.h"

static void check_code(I q, Type t) { require(q >= t.lo && q <= t.hi, "no code of the type"); }

/* Shape of a with the last axis n long, and planes in front (0: none). */
static Array *rows(const char *name, const Array *a, int planes, int skip, I n) {
    I shape[6] = {planes};
    int rank = 0;
    require(a->rank > skip && a->rank < 5, "axes");
    if (planes) rank++;
    for (int i = skip; i < a->rank; i++) shape[rank++] = a->shape[i];
    shape[rank - 1] = n;
    Array *made = array(name, (Type){0, 0}, rank, shape);
    give(made);
    return made;
}

/* [2.1] width k a code; [2.3] k planes of width 1. */
static void pack_fields(const Array *q, Type t, int planes) {
    int k = bits_of(t), width = planes ? 1 : k;
    I n = q->shape[q->rank - 1], row = (n * width + 7) / 8;
    Array *bytes = rows("bytes", q, planes ? k : 0, 0, row);
    for (I i = 0; i < q->size; i++) {
        check_code(q->v[i], t);
        for (int b = 0; b < k; b++) {
            I at = planes ? i % n : i % n * k + b;
            I line = planes ? b * (q->size / n) + i / n : i / n;
            bytes->v[line * row + at / 8] |= (q->v[i] >> b & 1) << at % 8;
        }
    }
}

static void unpack_fields(const Array *bytes, Type t, I n, int planes) {
    int k = bits_of(t), width = planes ? 1 : k;
    I row = (n * width + 7) / 8;
    require(bytes->rank > planes && bytes->shape[bytes->rank - 1] == row, "[2.1.3] bytes of a row");
    require(!planes || bytes->shape[0] == k, "[2.3.1] planes");
    Array *q = rows("codes", bytes, 0, planes, n);
    for (I i = 0; i < bytes->size; i++)
        for (int b = 0; b < 8; b++) {
            I at = i % row * 8 + b, line = i / row, lines = n ? q->size / n : 1;
            I set = bytes->v[i] >> b & 1;
            if (at >= n * width) require(!set, "[2.1.3] padding");
            else if (planes) q->v[line % lines * n + at] |= set << line / lines;
            else q->v[line * n + at / k] |= set << at % k;
        }
    for (I i = 0; i < q->size; i++) {
        if (t.lo < 0 && q->v[i] >> (k - 1)) q->v[i] -= power(k);
        check_code(q->v[i], t);
    }
}

static const int THREES[] = {1, 3, 9, 27, 81};

/* [2.2] */
static void pack_trits(const Array *q) {
    I n = q->shape[q->rank - 1], row = (n + 4) / 5;
    Array *bytes = rows("bytes", q, 0, 0, row);
    for (I i = 0; i < q->size; i++) {
        check_code(q->v[i], (Type){-1, 1});
        bytes->v[i / n * row + i % n / 5] += (q->v[i] + 3) % 3 * THREES[i % n % 5];
    }
}

static void unpack_trits(const Array *bytes, I n) {
    I row = (n + 4) / 5;
    require(bytes->rank && bytes->shape[bytes->rank - 1] == row, "[2.2.1] bytes of a row");
    Array *q = rows("codes", bytes, 0, 0, n);
    for (I i = 0; i < bytes->size; i++) {
        require(bytes->v[i] < 243, "[2.2.1] a byte above 242");
        for (int d = 0; d < 5; d++) {
            I digit = bytes->v[i] / THREES[d] % 3, at = i % row * 5 + d;
            if (at >= n) require(!digit, "[2.2.1] missing trits");
            else q->v[i / row * n + at] = digit == 2 ? -1 : digit;
        }
    }
}

/* [2.4]: planes 0 and 1 of [2.3.1], as two arrays. */
static void masks(const Array *q) {
    I n = q->shape[q->rank - 1], row = (n + 7) / 8;
    Array *nonzero = rows("nonzero", q, 0, 0, row), *negative = rows("negative", q, 0, 0, row);
    for (I i = 0; i < q->size; i++) {
        check_code(q->v[i], (Type){-1, 1});
        nonzero->v[i / n * row + i % n / 8] |= (I)(q->v[i] != 0) << i % n % 8;
        negative->v[i / n * row + i % n / 8] |= (I)(q->v[i] < 0) << i % n % 8;
    }
}

static void unmask(I n) {
    Array *nonzero = operand("nonzero"), *negative = operand("negative");
    require(!memcmp(nonzero->shape, negative->shape, sizeof nonzero->shape), "[2.4.1] shapes");
    I row = (n + 7) / 8;
    require(nonzero->rank && nonzero->shape[nonzero->rank - 1] == row, "[2.3.1] bytes of a row");
    Array *q = rows("codes", nonzero, 0, 0, n);
    for (I i = 0; i < nonzero->size; i++)
        for (int b = 0; b < 8; b++) {
            I some = nonzero->v[i] >> b & 1, minus = negative->v[i] >> b & 1, at = i % row * 8 + b;
            require(some || !minus, "[2.4.1] a negative zero");
            if (at >= n) require(!some, "[2.1.3] padding");
            else q->v[i / row * n + at] = some - 2 * minus;
        }
}

void codes(const char *op, const Json *attributes) {
    int packs = !strncmp(op, "pack_", 5), unpacks = !strncmp(op, "unpack_", 7);
    if (!packs && !unpacks) return;
    const char *how = op + (packs ? 5 : 7);
    int typed = !strcmp(how, "bits") || !strcmp(how, "planes");
    fields(attributes, packs ? typed ? "type" : "" : typed ? "type size" : "size");
    Type t = typed ? parse_type(string(get(attributes, "type"))) : (Type){-1, 1};
    I n = packs ? 0 : integer(get(attributes, "size"), 0, INT32_MAX);
    if (packs) require(operand("codes")->rank > 0, "axes");
    if (typed && packs) pack_fields(operand("codes"), t, *how == 'p');
    else if (typed) unpack_fields(operand("bytes"), t, n, *how == 'p');
    else if (!strcmp(how, "trits")) { if (packs) pack_trits(operand("codes")); else unpack_trits(operand("bytes"), n); }
    else if (packs) masks(operand("codes"));
    else unmask(n);
}
