/* Chapter 05: programs and how they run. */
#include "consumer.h"

typedef struct { Array **values; int count; } Program;

static Array *find(const Program *p, const char *name) {
    for (int i = 0; i < p->count; i++)
        if (!strcmp(p->values[i]->name, name)) return p->values[i];
    return NULL;
}

/* [5.1.2] */
static const char *checked(const char *name) {
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    require(n >= 1 && n <= 100 && !name[n] && *name != '.' && *name != '-', "[5.1.2] a name");
    return name;
}

static void add_value(Program *p, Array *a, const char *name) {
    require(!find(p, name), "[5.1.2] a name twice");
    a->name = checked(name);
    p->values[p->count++] = a;
}

/* A constant is an operand where an operator wants one, and nowhere else. */
static void step(Program *p, const Json *node) {
    const Json *inputs = get(node, "inputs");
    Question ask = {.op = word(node, "op"), .attributes = get(node, "attributes")};
    require(inputs->kind == '[', "operands");
    ask.x = take(inputs->n, sizeof *ask.x);
    for (const Json *v = inputs->items; v; v = v->next, ask.count++) {
        require(v->kind == '"', "a name");
        Array *a = ask.x[ask.count] = find(p, v->s);
        require(a != NULL, "[5.1.2] an operand");
        require(a->is_constant == (ask.count > 0 && strcmp(ask.op, "Add")), "a constant, or none");
        a->is_weight |= ask.count == 1 && !strcmp(ask.op, "Conv");
        a->is_used = 1;
    }
    perform(&ask, 1);
    add_value(p, ask.y, word(node, "name"));
}

/* Every rule of [5.1]; every value by [5.2.1], or for weight_bits [5.4] those of no image. */
void program(Question *ask) {
    const Json *given = ask->attributes, *nodes = get(given, "nodes");
    const Json *source = get(given, "input"), *axes = get(source, "shape");
    const char *output = word(given, "output");
    int runs = *ask->op == 'P';
    Type t = parse_type(word(source, "type"));
    I shape[6] = {0}, weight_bits = 0;
    checked(word(given, "name"));
    require(ask->count >= runs && nodes->kind == '[', "[5.2.1] no input, or no nodes");
    memcpy(shape + 1, integers(axes, 1, 3, 1), (size_t)axes->n * sizeof *shape);
    Array *x = runs ? ask->x[0] : array(t, axes->n + 1, shape);
    shape[0] = x->shape[0];
    require(x->rank == axes->n + 1 && !memcmp(x->shape, shape, sizeof shape), "[5.2.1] shape");
    for (I i = 0; i < x->size; i++) require(x->v[i] >= t.lo && x->v[i] <= t.hi, "[5.2.1]");
    x->type = t;
    Program p = {take(ask->count + 1 + nodes->n, sizeof *p.values), 0};
    add_value(&p, x, word(source, "name"));
    for (int i = runs; i < ask->count; i++) {
        Array *c = ask->x[i];
        require(c->rank >= 1 && c->rank <= 4 && c->size > 0, "[5.1.3]");
        c->is_constant = 1;
        add_value(&p, c, c->name);
    }
    for (const Json *node = nodes->items; node; node = node->next) step(&p, node);
    require(find(&p, output) != NULL, "[5.1.1] output");
    for (int i = 0; i < p.count; i++) {
        Array *a = p.values[i];
        int is_output = !strcmp(a->name, output);
        require(is_output ? !a->is_constant : a->is_used, "[5.1.4]");
        if (a->is_weight) weight_bits += a->size * bits_of(a->type);
        if (runs && (is_output || (i > 0 && !a->is_constant))) give(a->name, a);
    }
    if (!runs) list("bits", 1, &weight_bits);
}

/* [5.2.2] */
void classify(Question *ask) {
    I N = ask->size['N'], K = ask->size['K'], *scores = ask->x[0]->v, *best = take(N, sizeof *best);
    for (I i = 0; i < N * K; i++)
        if (scores[i] > scores[i / K * K + best[i / K]]) best[i / K] = i % K;
    list("class", N, best);
}
