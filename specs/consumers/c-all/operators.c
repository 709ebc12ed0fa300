/* Chapter 04: shapes, proved types, meanings and work of the seven operators. */
#include "consumer.h"

static void pair(const Json *attributes, const char *key, I least, I out[2]) {
    const Json *given = get(attributes, key);
    require(given->kind == 'a' && given->n == 2, "a pair");
    for (int i = 0; i < 2; i++) out[i] = integer(given->items[i], least, INT32_MAX);
}

static void padding(const Json *attributes, I out[2][2]) {
    const Json *given = get(attributes, "padding");
    require(given->kind == 'a' && given->n == 2, "padding");
    for (int i = 0; i < 2; i++) {
        require(given->items[i]->kind == 'a' && given->items[i]->n == 2, "padding");
        for (int k = 0; k < 2; k++) out[i][k] = integer(given->items[i]->items[k], 0, INT32_MAX);
    }
}

/* [4.1.2] */
static void size_of(const I *map, const I *kernel, const I *stride, I pad[2][2], const I *dilation,
                    I *out) {
    for (int i = 0; i < 2; i++) {
        I room = map[i] + pad[i][0] + pad[i][1] - dilation[i] * (kernel[i] - 1) - 1;
        require(room >= 0, "[4.1.2]");
        out[i] = room / stride[i] + 1;
    }
}

static void activation(const Array *a, int rank) {
    require(a->rank >= 2 && a->rank <= 4 && (!rank || a->rank == rank) && !a->r, "an activation");
    for (int i = 1; i < a->rank; i++) require(a->shape[i] >= 1, "[1.2.1]");
}

static void constant(const Array *a, int rank, I first) {
    require(!a->r && a->rank == rank && (!first || a->shape[0] == first), "shape of a constant");
    require(a->size > 0, "[5.1.3]");
}

static Array *result(Array *x, Type t, int rank, const I *shape) {
    I full[6] = {x->shape[0]};
    memcpy(full + 1, shape, (size_t)rank * sizeof(I));
    return array("y", t, rank + 1, full);
}

static Array *conv(const Json *attributes, Array **a, int n, I work[4]) {
    I stride[2], dilation[2], pad[2][2], out[3];
    fields(attributes, "stride padding dilation groups");
    pair(attributes, "stride", 1, stride), pair(attributes, "dilation", 1, dilation);
    padding(attributes, pad);
    I G = integer(get(attributes, "groups"), 1, INT32_MAX);
    require(n == 2 || n == 3, "operands");
    Array *x = a[0], *w = a[1], *b = n == 3 ? a[2] : NULL;
    activation(x, 4), constant(w, 4, 0);
    const I *S = w->shape;
    I F = S[0], per = S[1], H = x->shape[2], V = x->shape[3], K = per * S[2] * S[3];
    if (b) constant(b, 1, F);
    require(F % G == 0 && x->shape[1] == per * G, "[4.1.1]");
    size_of(x->shape + 2, S + 2, stride, pad, dilation, out + 1);
    W least = 0, most = 0;
    for (I f = 0; f < F; f++) { /* [4.1.4] */
        I bias = b ? b->v[f] : 0, x_lo = saturate(x->type.lo, INT64_MIN, 0), x_hi = saturate(x->type.hi, 0, INT64_MAX);
        W lo = bias < 0 ? bias : 0, hi = bias > 0 ? bias : 0;
        for (I k = 0; k < K; k++) {
            W one = (W)w->v[f * K + k] * x_lo, two = (W)w->v[f * K + k] * x_hi;
            lo += one < two ? one : two, hi += one < two ? two : one;
        }
        least = !f || lo < least ? lo : least, most = !f || hi > most ? hi : most;
    }
    out[0] = F;
    Array *y = result(x, bounded(least, most), 3, out);
    work[0] = F * out[1] * out[2] * K, work[1] = b ? F * out[1] * out[2] : 0;
    for (I i = 0; i < y->size; i++) { /* [4.1.3] */
        I column = i % out[2], row = i / out[2] % out[1], f = i / out[2] / out[1] % F;
        I image = i / out[2] / out[1] / F, acc = b ? b->v[f] : 0;
        for (I k = 0; k < K; k++) {
            I s = k % S[3], r = k / S[3] % S[2], c = f / (F / G) * per + k / S[3] / S[2];
            I h = row * stride[0] + r * dilation[0] - pad[0][0];
            I v = column * stride[1] + s * dilation[1] - pad[1][0];
            if (h >= 0 && h < H && v >= 0 && v < V)
                acc += w->v[f * K + k] * x->v[((image * x->shape[1] + c) * H + h) * V + v];
        }
        y->v[i] = acc;
    }
    return y;
}

/* [4.5] [4.6] */
static Array *pool(const Json *attributes, Array **a, int n, I work[4], int largest) {
    I kernel[2], stride[2], pad[2][2], out[3];
    const I once[] = {1, 1};
    fields(attributes, "kernel stride padding");
    pair(attributes, "kernel", 1, kernel), pair(attributes, "stride", 1, stride);
    padding(attributes, pad);
    for (int i = 0; i < 4; i++) require(pad[i / 2][i % 2] < kernel[i / 2], "[4.5.1]");
    require(n == 1, "operands");
    Array *x = a[0];
    activation(x, 4);
    size_of(x->shape + 2, kernel, stride, pad, once, out + 1);
    I places = kernel[0] * kernel[1], H = x->shape[2], V = x->shape[3];
    Type t = x->type;
    if (!largest) t = bounded((W)saturate(t.lo, INT64_MIN, 0) * places, (W)saturate(t.hi, 0, INT64_MAX) * places);
    out[0] = x->shape[1];
    Array *y = result(x, t, 3, out);
    work[largest ? 3 : 1] = out[0] * out[1] * out[2] * (places - 1);
    for (I i = 0; i < y->size; i++) {
        I top = i / out[2] % out[1] * stride[0] - pad[0][0], left = i % out[2] * stride[1] - pad[1][0];
        const I *map = x->v + i / out[2] / out[1] * H * V;
        I best = INT64_MIN, sum = 0;
        for (I h = top < 0 ? 0 : top; h < top + kernel[0] && h < H; h++)
            for (I v = left < 0 ? 0 : left; v < left + kernel[1] && v < V; v++) {
                sum += map[h * V + v];
                if (map[h * V + v] > best) best = map[h * V + v];
            }
        y->v[i] = largest ? best : sum;
    }
    return y;
}

/* [4.2] [4.3]: one constant row a channel. */
static Array *by_channel(const Json *attributes, Array **a, int n, I work[4], int requantize) {
    fields(attributes, requantize ? "type rounding" : "");
    require(n == 3, "operands");
    Array *x = a[0], *t = a[1], *s = a[2];
    activation(x, 0);
    I C = x->shape[1], L = t->rank == 2 ? t->shape[1] : 1;
    constant(t, requantize ? 1 : 2, C), constant(s, 1, C);
    bounded(x->type.lo, x->type.hi);
    Type type = {0, L};
    int rule = requantize ? rounding_of(attributes) : 0;
    if (requantize) type = parse_type(string(get(attributes, "type"))), bounded(type.lo, type.hi);
    for (I i = 0; i < C; i++) {
        if (requantize) requantized(0, t->v[i], s->v[i], type, rule);
        else require(s->v[i] == 1 || s->v[i] == -1, "[4.2.1] sign");
        for (I k = 1; k < L; k++) require(t->v[i * L + k - 1] <= t->v[i * L + k], "[4.2.1] rows");
    }
    Array *y = result(x, type, x->rank - 1, x->shape + 1);
    I inner = 1, elements = 1;
    for (int i = 2; i < x->rank; i++) inner *= x->shape[i];
    elements = C * inner;
    work[requantize ? 2 : 3] = elements * L;
    for (I i = 0; i < y->size; i++) {
        I c = i / inner % C;
        if (requantize) y->v[i] = requantized(x->v[i], t->v[c], s->v[c], type, rule);
        else for (I k = 0; k < L; k++) y->v[i] += s->v[c] * x->v[i] >= t->v[c * L + k];
    }
    return y;
}

Array *apply(const char *kind, const Json *attributes, Array **a, int n, I work[4]) {
    memset(work, 0, 4 * sizeof(I));
    require(attributes->kind == 'o', "attributes");
    if (!strcmp(kind, "Conv")) return conv(attributes, a, n, work);
    if (!strcmp(kind, "MaxPool")) return pool(attributes, a, n, work, 1);
    if (!strcmp(kind, "SumPool")) return pool(attributes, a, n, work, 0);
    if (!strcmp(kind, "Threshold")) return by_channel(attributes, a, n, work, 0);
    if (!strcmp(kind, "Requantize")) return by_channel(attributes, a, n, work, 1);
    if (!strcmp(kind, "Add")) { /* [4.4] */
        fields(attributes, "");
        require(n == 2 && a[0]->rank == a[1]->rank, "operands");
        activation(a[0], 0), activation(a[1], 0);
        require(!memcmp(a[0]->shape, a[1]->shape, sizeof a[0]->shape), "[4.4.1]");
        Type t = bounded((W)a[0]->type.lo + a[1]->type.lo, (W)a[0]->type.hi + a[1]->type.hi);
        Array *y = result(a[0], t, a[0]->rank - 1, a[0]->shape + 1);
        work[1] = 1;
        for (int i = 1; i < y->rank; i++) work[1] *= y->shape[i];
        for (I i = 0; i < y->size; i++) y->v[i] = a[0]->v[i] + a[1]->v[i];
        return y;
    }
    require(!strcmp(kind, "Reshape") && n == 1, "no such operator"); /* [4.7] */
    fields(attributes, "shape");
    const Json *given = get(attributes, "shape");
    I shape[3], wanted = 1, held = 1;
    activation(a[0], 0);
    require(given->kind == 'a' && given->n >= 1 && given->n <= 3, "[4.7.1] axes");
    for (int i = 0; i < given->n; i++) {
        shape[i] = integer(given->items[i], 1, INT32_MAX);
        require(wanted <= INT32_MAX, "[4.7.1]");
        wanted *= shape[i];
    }
    for (int i = 1; i < a[0]->rank; i++) held *= a[0]->shape[i];
    require(held == wanted, "[4.7.1] elements");
    Array *y = result(a[0], a[0]->type, given->n, shape);
    memcpy(y->v, a[0]->v, (size_t)y->size * sizeof(I));
    return y;
}
