/* Chapter 04: shapes, proved types, meanings and work of the seven operators. */
#include "consumer.h"

static Array *result(const Array *x, Type t, int rank, const I *shape) {
    I full[6] = {x->shape[0]};
    memcpy(full + 1, shape, (size_t)rank * sizeof *shape);
    return array(t, rank + 1, full);
}

/* Elements of one image. */
static W elements(const Array *x) {
    W n = 1;
    for (int i = 1; i < x->rank; i++) n *= x->shape[i];
    return n;
}

/* [4.1.4] */
static Type range_of(const Array *x, const Array *w, const Array *b) {
    I F = w->shape[0], K = w->size / F;
    W lo = 0, hi = 0, below = saturate(x->type.lo, INT64_MIN, 0);
    W above = saturate(x->type.hi, 0, INT64_MAX);
    for (I f = 0; f < F; f++) {
        W least = b && b->v[f] < 0 ? b->v[f] : 0, most = b && b->v[f] > 0 ? b->v[f] : 0;
        for (I k = f * K; k < f * K + K; k++) {
            least += w->v[k] * (w->v[k] > 0 ? below : above);
            most += w->v[k] * (w->v[k] > 0 ? above : below);
        }
        lo = least < lo ? least : lo;
        hi = most > hi ? most : hi;
    }
    return bounded(lo, hi);
}

/* Conv [4.1]; SumPool [4.6] is one with weights of 1, MaxPool [4.5] takes the largest term. */
void window(Question *ask) {
    const Json *given = ask->attributes, *pads = get(given, "padding");
    int pools = *ask->op != 'C', largest = *ask->op == 'M';
    Array *x = ask->x[0], *w = pools ? NULL : ask->x[1], *b = ask->count > 2 ? ask->x[2] : NULL;
    I C = ask->size['C'], H = ask->size['H'], V = ask->size['W'], G = C, once[] = {1, 1};
    I *stride = integers(get(given, "stride"), 2, 2, 1), *dilation = once, out[3];
    require(pads->kind == '[' && pads->n == 2, "padding");
    I *pad[] = {integers(pads->items, 2, 2, 0), integers(pads->items->next, 2, 2, 0)};
    if (pools) {
        I *kernel = integers(get(given, "kernel"), 2, 2, 1);
        w = array((Type){1, 1}, 4, (I[]){C, 1, kernel[0], kernel[1]});
        for (I i = 0; i < w->size; i++) w->v[i] = 1;
    } else {
        dilation = integers(get(given, "dilation"), 2, 2, 1);
        G = integer(get(given, "groups"), 1, INT32_MAX);
    }
    I *S = w->shape, F = out[0] = S[0], K = w->size / F;
    require(F % G == 0 && C == S[1] * G, "[4.1.1]");
    for (int i = 0; i < 2; i++) {
        I room = x->shape[2 + i] + pad[i][0] + pad[i][1] - dilation[i] * (S[2 + i] - 1) - 1;
        require(room >= 0, "[4.1.2]");
        require(!pools || (pad[i][0] < S[2 + i] && pad[i][1] < S[2 + i]), "[4.5.1]");
        out[1 + i] = room / stride[i] + 1;
    }
    Array *y = ask->y = result(x, largest ? x->type : range_of(x, w, b), 3, out);
    ask->work[largest ? 3 : pools ? 1 : 0] = elements(y) * (K - pools);
    if (b) ask->work[1] = elements(y);
    for (I i = 0; i < y->size; i++) {
        I column = i % out[2], row = i / out[2] % out[1], f = i / out[2] / out[1] % F;
        I image = i / out[2] / out[1] / F;
        y->v[i] = largest ? x->type.lo : b ? b->v[f] : 0;
        for (I k = 0; k < K; k++) {
            I c = f / (F / G) * S[1] + k / S[3] / S[2];
            I h = row * stride[0] + k / S[3] % S[2] * dilation[0] - pad[0][0];
            I v = column * stride[1] + k % S[3] * dilation[1] - pad[1][0];
            if (h < 0 || h >= H || v < 0 || v >= V) continue;
            W term = w->v[f * K + k] * x->v[((image * C + c) * H + h) * V + v];
            if (!largest) y->v[i] += term;
            else if (term > y->v[i]) y->v[i] = term;
        }
    }
}

/* Threshold [4.2] and Requantize [4.3]: constants t or mult, sign or shift of the channel. */
void by_channel(Question *ask) {
    Array *x = ask->x[0], *t = ask->x[1], *s = ask->x[2];
    int requantizes = *ask->op == 'R', rule = requantizes ? rounding_of(ask->attributes) : 0;
    I C = ask->size['C'], L = t->size / C;
    Type type = requantizes ? parse_type(word(ask->attributes, "type")) : (Type){0, L};
    bounded(x->type.lo, x->type.hi);
    bounded(type.lo, type.hi);
    for (I i = 0; i < t->size; i++) {
        if (requantizes) requantized(0, t->v[i], s->v[i], type, rule);
        else require(s->v[i / L] == 1 || s->v[i / L] == -1, "[4.2.1] sign");
        require(i % L == 0 || t->v[i - 1] <= t->v[i], "[4.2.1] rows");
    }
    Array *y = ask->y = result(x, type, x->rank - 1, x->shape + 1);
    ask->work[requantizes ? 2 : 3] = elements(x) * L;
    for (I i = 0; i < y->size; i++) {
        I c = i / (I)(elements(x) / C) % C;
        if (requantizes) y->v[i] = requantized(x->v[i], t->v[c], s->v[c], type, rule);
        else for (I k = 0; k < L; k++) y->v[i] += s->v[c] * x->v[i] >= t->v[c * L + k];
    }
}

/* [4.4] */
void add(Question *ask) {
    Array *x = ask->x[0], *y = ask->x[1];
    Type t = bounded(x->type.lo + y->type.lo, x->type.hi + y->type.hi);
    require(x->rank == y->rank && !memcmp(x->shape, y->shape, sizeof x->shape), "[4.4.1]");
    ask->y = result(x, t, x->rank - 1, x->shape + 1);
    ask->work[1] = elements(x);
    for (I i = 0; i < x->size; i++) ask->y->v[i] = x->v[i] + y->v[i];
}

/* [4.7] */
void reshape(Question *ask) {
    const Json *shape = get(ask->attributes, "shape");
    Array *x = ask->x[0];
    ask->y = result(x, x->type, shape->n, integers(shape, 1, 3, 1));
    require(elements(ask->y) == elements(x), "[4.7.1] elements");
    memcpy(ask->y->v, x->v, (size_t)x->size * sizeof *x->v);
}

/* result_type and work: the operator is carried out, and asked about. */
void operator_facts(Question *ask) {
    static const char *const works[] = {"macs", "additions", "multiplications", "comparisons"};
    Question inner = *ask;
    inner.op = word(ask->attributes, "op");
    inner.attributes = get(ask->attributes, "attributes");
    perform(&inner, 1);
    for (int i = 0; i < 4 && *ask->op == 'w'; i++) list(works[i], 1, &inner.work[i]);
    if (*ask->op == 'w') return;
    list("range", 2, (I[]){inner.y->type.lo, inner.y->type.hi});
    list("shape", inner.y->rank - 1, inner.y->shape + 1);
}
