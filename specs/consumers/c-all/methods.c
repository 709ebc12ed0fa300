/* Chapter 06: what the methods choose, decided in exact integers and rationals. */
#include "consumer.h"

typedef struct { W n, d; } Ratio; /* d > 0, lowest terms */

static W times(W a, W b) {
    W product;
    require(!__builtin_mul_overflow(a, b, &product), "numbers too large for 128 bits");
    return product;
}

static Ratio ratio(W n, W d) {
    W a = n < 0 ? -n : n, b = d;
    while (b) { W rest = a % b; a = b, b = rest; }
    return a ? (Ratio){n / a, d / a} : (Ratio){0, 1};
}

static int sign(W n) { return (n > 0) - (n < 0); }
static int over(Ratio a, Ratio b) { return times(a.n, b.d) > times(b.n, a.d); }
static Ratio product(Ratio a, Ratio b) { return ratio(times(a.n, b.n), times(a.d, b.d)); }
static Ratio sum(Ratio a, Ratio b) { return ratio(times(a.n, b.d) + times(b.n, a.d), times(a.d, b.d)); }
static Ratio size(Ratio a) { return (Ratio){a.n < 0 ? -a.n : a.n, a.d}; }

/* [6.1] [6.6.2]: the supports end where magnitudes change; of equals the smallest. */
static void half_step(const Ratio *s, I n, int binary, I *codes) {
    Ratio best = {0, 1}, least = {0, 1};
    for (I i = 0; i < n && !binary; i++) {
        Ratio all = {0, 1};
        W kept = 0;
        for (I k = 0; k < n; k++)
            if (!over(size(s[i]), size(s[k]))) all = sum(all, size(s[k])), kept++;
        Ratio f = product(product(all, all), (Ratio){1, kept});
        if (s[i].n && (over(f, best) || (!over(best, f) && over(size(s[i]), least)))) best = f, least = size(s[i]);
    }
    for (I i = 0; i < n; i++)
        codes[i] = binary ? (s[i].n < 0 ? -1 : 1) : !least.n || over(least, size(s[i])) ? 0 : sign(s[i].n);
}

static Ratio *ratios(const Array *a) {
    Ratio *made = take((size_t)a->size, sizeof *made);
    for (I i = 0; i < a->size; i++) made[i] = (Ratio){a->v[i], 1};
    return made;
}

/* [6.3.3] */
static void weight_codes(const Json *attributes) {
    fields(attributes, "bits");
    I bits = integer(get(attributes, "bits"), 1, 8), top = power((int)bits - 1) - 1, most = 0, same = 0;
    Array *w = operand("w"), *q = vector("codes", w->size);
    if (bits <= 2) { half_step(ratios(w), w->size, bits == 1, q->v); return; }
    for (I i = 0; i < w->size; i++) if (llabs(w->v[i]) > most) most = llabs(w->v[i]);
    for (Ratio alpha = ratio(most, top); alpha.n && !same;) {
        W wq = 0, qq = 0;
        same = 1;
        for (I i = 0; i < w->size; i++) {
            I code = saturate((I)divide(w->v[i] * alpha.d * sign(alpha.n), alpha.n * sign(alpha.n), 0), -top, top);
            same &= code == q->v[i], q->v[i] = code;
            wq += (W)w->v[i] * code, qq += (W)code * code;
        }
        alpha = qq ? ratio(wq, qq) : (Ratio){0, 1};
    }
}

/* [6.2.1]: codes are digits of m places; place p of weight j is q[p * n + j]. */
typedef struct { I n, *s, *G, *q, *places; int m, form, bits; } Problem;

static I whole(const Problem *p, I j) {
    I w = 0;
    for (int m = 0; m < p->m; m++) w += p->places[m] * p->q[m * p->n + j];
    return w;
}

static W met(const Problem *p, I j) { /* (G w)[j] */
    W y = 0;
    for (I k = 0; k < p->n; k++) y += (W)p->G[j * p->n + k] * whole(p, k);
    return y;
}

static void sums(const Problem *p, W *N, W *D) {
    *N = *D = 0;
    for (I j = 0; j < p->n; j++) *N += (W)p->s[j] * whole(p, j), *D += whole(p, j) * met(p, j);
}

static int vanished(const Problem *p, W D) { /* [6.2.2] */
    W trace = 0;
    for (I j = 0; j < p->n; j++) trace += p->G[j * p->n + j];
    return times(D, (W)1 << 40) <= trace;
}

static Ratio explained(const Problem *p) {
    W N, D;
    sums(p, &N, &D);
    return vanished(p, D) ? (Ratio){0, 1} : ratio(times(N, N < 0 ? -N : N), D);
}

/* Candidates of one digit: its neighbours, within the type (whole codes) or -1, 0, 1. */
static int allowed(const Problem *p, I c, I old, I top) {
    if (p->bits <= 2 || p->m > 1) return llabs(c) <= 1 && (p->bits > 1 || c);
    return llabs(c) <= top && llabs(c - old) <= 1;
}

/* [6.2.5] */
static void profile(Problem *p, I *digit, I top) {
    I old = *digit, chosen = old;
    Ratio best = explained(p);
    best = sum(best, product(size(best), (Ratio){1, (W)1 << 40}));
    for (I c = -top; c <= top; c++) {
        if (!allowed(p, c, old, top)) continue;
        *digit = c;
        Ratio value = explained(p);
        if (over(value, best)) best = value, chosen = c;
    }
    *digit = chosen;
}

/* [6.2.6]: x = a / b, b > 0 */
static void fixed(Problem *p, I *digit, I place, I j, W N, W D, I top) {
    W G = p->G[j * p->n + j], own = place * *digit * G;
    W a = times(p->s[j], D) - times(N, met(p, j) - own), b = times(times(N, place), G);
    I old = *digit, lo = -1, hi = 1;
    if (p->m == 1 && p->bits > 2) lo = saturate(old - 1, -top, top), hi = saturate(old + 1, -top, top);
    if (p->bits == 1) { *digit = a ? sign(a) : old; return; }
    W magnitude = a < 0 ? -a : a, nearest = (2 * magnitude + b - 1) / (2 * b);
    *digit = saturate((I)(nearest > 1000 ? 1000 : nearest) * sign(a), lo, hi);
}

static void descend(Problem *p, I sweeps, I top) { /* [6.2.3] [6.2.4] [6.3.2] */
    W N, D;
    sums(p, &N, &D);
    for (I i = 0; i < p->m * p->n && N < 0; i++) p->q[i] = -p->q[i];
    for (int changed = 1; changed && sweeps > 0; sweeps--) {
        sums(p, &N, &D);
        if (p->form && (N <= 0 || vanished(p, D))) break;
        changed = 0;
        for (I i = 0; i < p->m * p->n; i++) {
            I old = p->q[i], j = i % p->n;
            if (!p->G[j * p->n + j]) continue;
            if (p->form) fixed(p, p->q + i, p->places[i / p->n], j, N, D, top);
            else profile(p, p->q + i, top);
            changed |= p->q[i] != old;
        }
    }
}

static void least_squares(const Json *attributes) {
    fields(attributes, "bits form sweeps");
    Array *X = operand("X"), *z = operand("z"), *start = operand("start");
    I bits = integer(get(attributes, "bits"), 1, 8), sweeps = integer(get(attributes, "sweeps"), 0, INT32_MAX);
    I n = start->size, samples = z->size, top = bits < 2 ? 1 : power((int)bits - 1) - 1, places[8];
    const char *form = string(get(attributes, "form"));
    require(!strcmp(form, "profile") || !strcmp(form, "fixed"), "[6.2]");
    require(X->rank == 2 && X->shape[0] == n && X->shape[1] == samples, "[6.2.1] shapes");
    Problem p = {n, take((size_t)n, 8), take((size_t)(n * n), 8), take((size_t)(8 * n), 8), places,
                 bits > 2 ? (int)bits - 1 : 1, *form == 'f', (int)bits};
    for (int m = 0; m < p.m; m++) places[m] = power(p.m - 1 - m);
    for (I i = 0; i < n; i++) {
        require(llabs(start->v[i]) <= top && (bits > 1 || start->v[i]), "[6.3.1] codes");
        for (int m = 0; m < p.m; m++) p.q[m * n + i] = sign(start->v[i]) * (llabs(start->v[i]) / places[m] % 2);
        for (I k = 0; k < samples; k++) p.s[i] += X->v[i * samples + k] * z->v[k];
        for (I j = 0; j < n; j++)
            for (I k = 0; k < samples; k++) p.G[i * n + j] += X->v[i * samples + k] * X->v[j * samples + k];
    }
    descend(&p, sweeps, p.m > 1 ? 1 : top);
    if (p.m > 1) {
        for (I j = 0; j < n; j++) p.q[j] = whole(&p, j);
        p.m = 1, places[0] = 1;
        descend(&p, sweeps, top);
    }
    W N, D;
    sums(&p, &N, &D);
    int dead = vanished(&p, D) || N <= 0;
    Array *codes = vector("codes", n);
    for (I j = 0; j < n && !dead; j++) codes->v[j] = p.q[j];
    vector("N", 1)->v[0] = dead ? 0 : (I)N, vector("D", 1)->v[0] = dead ? 0 : (I)D;
}

/* [6.4] */
static void z_step(const Json *attributes) {
    fields(attributes, "form");
    const char *form = string(get(attributes, "form"));
    Array *t = operand("thresholds"), *q = operand("levels"), *y = operand("y"), *v = operand("v");
    double p = operand("penalty")->r[0], low = q->r[0], high = q->r[q->size - 1];
    int exact = !strcmp(form, "exact");
    require(exact || !strcmp(form, "relaxed"), "[6.4]");
    require(q->size == t->size + 1 && y->size == v->size, "[6.4.1] sizes");
    for (I k = 1; k < q->size; k++) require(q->r[k - 1] <= q->r[k] && (k < 2 || t->r[k - 2] <= t->r[k - 1]), "[6.4.1]");
    Array *z = vector("z", y->size);
    z->r = take((size_t)z->size, sizeof(double));
    for (I i = 0; i < y->size; i++) {
        double best = INFINITY, V = v->r[i], Y = y->r[i];
        for (I k = 0; k < (exact ? q->size : 3); k++) {
            double at = V, level = 0;
            if (exact) {
                if (k < t->size) at = fmin(at, t->r[k]);
                if (k) at = fmax(at, nextafter(t->r[k - 1], INFINITY));
                if (k && k < t->size && t->r[k - 1] == t->r[k]) continue;
                level = q->r[k];
            } else {
                at = k == 0 ? fmin(V, low) : k == 2 ? fmax(V, high) : fmin(fmax((p * V + Y) / (1 + p), low), high);
                level = fmin(fmax(at, low), high);
            }
            double cost = (Y - level) * (Y - level) + p * ((at - V) * (at - V));
            if (cost < best) best = cost, z->r[i] = at;
        }
    }
}

/* [6.6]: R (m, n) of what is left; a component is x (m), y (n), d. */
typedef struct { I m, n; int binary; Ratio *R; } Left;

static void step(const Left *l, const I *from, I *to, int across) { /* x from y, or y from x */
    I count = across ? l->n : l->m;
    Ratio *s = take((size_t)count, sizeof *s);
    for (I i = 0; i < count; i++) {
        s[i] = (Ratio){0, 1};
        for (I k = 0; k < (across ? l->m : l->n); k++)
            s[i] = sum(s[i], product(l->R[across ? k * l->n + i : i * l->n + k], (Ratio){from[k], 1}));
    }
    half_step(s, count, l->binary, to);
}

static Ratio alternate(const Left *l, I *x, I *y, Ratio *gain) { /* [6.6.4] [6.6.1] */
    I *before = take((size_t)l->n, sizeof *before), p = 0, q = 0;
    for (int pair = 0; pair < 100; pair++) {
        memcpy(before, y, (size_t)l->n * sizeof *y);
        step(l, y, x, 0), step(l, x, y, 1);
        if (!memcmp(before, y, (size_t)l->n * sizeof *y)) break;
    }
    Ratio a = {0, 1};
    for (I i = 0; i < l->m * l->n; i++) a = sum(a, product(l->R[i], (Ratio){x[i / l->n] * y[i % l->n], 1}));
    for (I i = 0; i < l->m; i++) p += x[i] != 0;
    for (I i = 0; i < l->n; i++) q += y[i] != 0;
    *gain = p && q ? product(product(a, a), (Ratio){1, (W)p * q}) : (Ratio){0, 1};
    return p && q ? product(a, (Ratio){1, (W)p * q}) : (Ratio){0, 1};
}

static void add(Left *l, const I *x, const I *y, Ratio d, int sign) {
    for (I i = 0; i < l->m * l->n; i++)
        l->R[i] = sum(l->R[i], product(d, (Ratio){sign * x[i / l->n] * y[i % l->n], 1}));
}

static void begin(const Left *l, const char *name, I i, I *y) { /* [6.6.3] */
    Ratio total = {0, 1};
    I at = i % l->n;
    memset(y, 0, (size_t)l->n * sizeof *y);
    if (!strcmp(name, "ones")) for (I j = 0; j < l->n; j++) y[j] = 1;
    else if (!strcmp(name, "every-100th")) for (I j = 0; j < l->n; j += 100) y[j] = 1;
    else if (!strcmp(name, "cycling")) y[at] = 1;
    else {
        require(!strcmp(name, "threshold"), "[6.6.3] a start");
        for (I k = 0; k < l->m * l->n; k++) total = sum(total, product(l->R[k], l->R[k]));
        for (;; at = (at + 1) % l->n) {
            Ratio column = {0, 1};
            for (I k = 0; k < l->m; k++) column = sum(column, product(l->R[k * l->n + at], l->R[k * l->n + at]));
            if (!over(total, product(column, (Ratio){l->n, 1}))) break;
        }
        y[at] = 1;
    }
}

/* [6.6.5]: dead where the gain is not above 2**-80 of the squared norm; d, or 0 and no codes. */
static Ratio kept(const Left *l, I *x, I *y, Ratio d, Ratio gain, double norm) {
    if ((double)gain.n / (double)gain.d > ldexp(norm, -80)) return d;
    for (I i = 0; i < l->m; i++) x[i] = l->binary;
    for (I i = 0; i < l->n; i++) y[i] = l->binary;
    return (Ratio){0, 1};
}

static void semidiscrete(const Json *attributes) {
    fields(attributes, "k sweeps starts binary");
    I k = integer(get(attributes, "k"), 1, 1000), sweeps = integer(get(attributes, "sweeps"), 0, INT32_MAX);
    const Json *starts = get(attributes, "starts");
    Array *matrix = operand("W");
    require(matrix->rank == 2 && matrix->size > 0 && starts->kind == 'a' && starts->n > 0, "[6.6.1]");
    Left l = {matrix->shape[0], matrix->shape[1], (int)get(attributes, "binary")->i, ratios(matrix)};
    I wide = l.m + l.n, *x = take((size_t)(k * wide), 8), *try = take((size_t)wide, 8);
    Ratio *d = take((size_t)k, sizeof *d), gain;
    double norm = 0;
    for (I i = 0; i < matrix->size; i++) norm += (double)matrix->v[i] * (double)matrix->v[i];
    for (I i = 0; i < k; i++) {
        Ratio most = {-1, 1};
        I *best = x + i * wide;
        for (int s = 0; s < starts->n; s++) {
            begin(&l, string(starts->items[s]), i, try + l.m);
            Ratio scale = alternate(&l, try, try + l.m, &gain);
            if (over(gain, most)) most = gain, d[i] = scale, memcpy(best, try, (size_t)wide * 8);
        }
        d[i] = kept(&l, best, best + l.m, d[i], most, norm);
        add(&l, best, best + l.m, d[i], -1);
    }
    for (int changed = 1; changed && sweeps > 0; sweeps--) { /* [6.6.6] */
        changed = 0;
        for (I i = 0; i < k; i++) {
            I *own = x + i * wide;
            Ratio before = d[i];
            if (!d[i].n) continue;
            memcpy(try, own, (size_t)wide * 8);
            add(&l, own, own + l.m, d[i], 1);
            d[i] = alternate(&l, own, own + l.m, &gain);
            d[i] = kept(&l, own, own + l.m, d[i], gain, norm);
            add(&l, own, own + l.m, d[i], -1);
            changed |= memcmp(try, own, (size_t)wide * 8) || before.n != d[i].n || before.d != d[i].d;
        }
    }
    I left[] = {l.m, k}, right[] = {l.n, k};
    Array *X = array("X", (Type){-1, 1}, 2, left), *Y = array("Y", (Type){-1, 1}, 2, right);
    give(X), give(Y);
    Array *above = vector("numerator", k), *below = vector("denominator", k);
    for (I i = 0; i < k; i++) { /* [6.6.7] */
        I *own = x + i * wide, first = 0;
        while (first < l.m - 1 && !own[first]) first++;
        for (I j = 0; j < wide; j++)
            *(j < l.m ? &X->v[j * k + i] : &Y->v[(j - l.m) * k + i]) = own[first] < 0 ? -own[j] : own[j];
        above->v[i] = (I)d[i].n, below->v[i] = (I)d[i].d;
    }
}

/* [6.7] */
static void block_term(const Json *attributes) {
    fields(attributes, "");
    Array *A = operand("A"), *G = operand("G"), *B = operand("B");
    require(A->rank == 3 && G->rank == 4 && B->rank == 3 && A->size && G->size && B->size, "[6.7.1] axes");
    I R = A->shape[0], S = A->shape[1], s = A->shape[2], t = G->shape[2], P = G->shape[3], T = B->shape[1];
    require(G->shape[0] == R && B->shape[0] == R && G->shape[1] == s && B->shape[2] == t, "[6.7.1] sizes");
    I shape[] = {S, T, P}, rows[] = {P > 1 ? R * s : R * t, S}, core[] = {R * t, s, P}, last[] = {T, R * t};
    Array *K = array("K", A->type, 3, shape), *one = array("first", A->type, 2, rows);
    Array *middle = array("middle", A->type, 3, core), *end = array("last", A->type, 2, last);
    for (I i = 0; i < K->size; i++) {
        I a = i / P / T, b = i / P % T, p = i % P;
        W whole = 0;
        for (I k = 0; k < R * s * t; k++) {
            I r = k / t / s, m = k / t % s, j = k % t;
            W term = times((W)A->v[(r * S + a) * s + m] * G->v[((r * s + m) * t + j) * P + p], B->v[(r * T + b) * t + j]);
            K->v[i] += (I)term, whole += term < 0 ? -term : term;
            require(whole <= 2147483646, "[6.7.1] a sum of magnitudes");
        }
    }
    for (I k = 0; k < R * s * t * P; k++) { /* [6.7.3] [6.7.4] */
        I p = k % P, j = k / P % t, i = k / P / t % s, r = k / P / t / s;
        middle->v[((r * t + j) * s + i) * P + p] = G->v[k];
        for (I a = 0; a < S; a++) {
            if (P > 1) one->v[(r * s + i) * S + a] = A->v[(r * S + a) * s + i];
            else one->v[(r * t + j) * S + a] += A->v[(r * S + a) * s + i] * G->v[k];
        }
        for (I b = 0; b < T; b++) end->v[b * R * t + r * t + j] = B->v[(r * T + b) * t + j];
    }
    give(K), give(one), give(end);
    if (P > 1) give(middle);
    vector("weights", 1)->v[0] = one->size + end->size + (P > 1 ? middle->size : 0);
}

void methods(const char *op, const Json *attributes) {
    if (!strcmp(op, "optimal_ternary")) {
        fields(attributes, "");
        Array *w = operand("w"), *codes = vector("codes", w->size);
        Array *support = vector("support", 1), *kept = vector("sum", 1);
        half_step(ratios(w), w->size, 0, codes->v);
        for (I i = 0; i < w->size; i++)
            if (codes->v[i]) support->v[0]++, kept->v[0] += llabs(w->v[i]);
    } else if (!strcmp(op, "weight_codes")) weight_codes(attributes);
    else if (!strcmp(op, "code_least_squares")) least_squares(attributes);
    else if (!strcmp(op, "z_step")) z_step(attributes);
    else if (!strcmp(op, "semidiscrete")) semidiscrete(attributes);
    else if (!strcmp(op, "block_term")) block_term(attributes);
}
