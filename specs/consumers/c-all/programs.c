/* Chapter 05: programs, how they run, their files to the byte. */
#include "consumer.h"

typedef struct {
    const char *name, *input, *output;
    Array *x; /* type and shape of the input, without images */
    const Json *nodes;
    Array **constants;
    int count;
} Program;

/* [5.1.2] */
static const char *named(const char *name) {
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    require(n >= 1 && n <= 100 && !name[n] && *name != '.' && *name != '-', "[5.1.2] a name");
    return name;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(Array *const *)a)->name, (*(Array *const *)b)->name);
}

/* [5.1.1] */
static Program program_of(const Json *given, Array **constants, int count) {
    const Json *source = get(given, "input"), *shape = get(source, "shape");
    Program p = {string(get(given, "name")), string(get(source, "name")),
                 string(get(given, "output")), NULL, get(given, "nodes"), constants, count};
    I sizes[4] = {0};
    fields(source, "name type shape");
    require(shape->kind == 'a' && shape->n >= 1 && shape->n <= 3, "[5.1.1] axes");
    for (int i = 0; i < shape->n; i++) sizes[i + 1] = integer(shape->items[i], 1, INT32_MAX);
    p.x = array(p.input, parse_type(string(get(source, "type"))), shape->n + 1, sizes);
    named(p.name);
    qsort(constants, (size_t)count, sizeof *constants, by_name);
    for (int i = 0; i < count; i++) {
        named(constants[i]->name);
        require(!constants[i]->r && constants[i]->rank >= 1 && constants[i]->rank <= 4
                && constants[i]->size, "[5.1.3]");
    }
    return p;
}

/* Every value by [5.2.1] and every rule of [5.1], on x (N, ...); the output, others in `all`. */
static Array *run(const Program *p, Array *x, Array **all, I *weight_bits) {
    int total = p->count + 1 + p->nodes->n;
    Array **values = take((size_t)total, sizeof *values);
    int *used = take((size_t)total, sizeof *used), n = 0;
    I work[4];
    require(p->nodes->kind == 'a', "nodes");
    x->name = named(p->input), x->type = p->x->type;
    values[n++] = x;
    for (int i = 0; i < p->count; i++) values[n++] = p->constants[i];
    for (int i = 0; i < p->nodes->n; i++) {
        const Json *node = p->nodes->items[i], *inputs = get(node, "inputs");
        const char *kind = string(get(node, "op"));
        Array *given[4];
        fields(node, "name op attributes inputs");
        require(inputs->kind == 'a' && inputs->n <= 3, "operands");
        for (int k = 0; k < inputs->n; k++) {
            int at = 0;
            while (at < n && strcmp(values[at]->name, string(inputs->items[k]))) at++;
            /* Constants where constants belong, and nowhere else. */
            require(at < n && (at >= 1 && at <= p->count) == (k > 0 && strcmp(kind, "Add")), "[5.1.2]");
            if (!strcmp(kind, "Conv") && k == 1 && !used[at])
                *weight_bits += values[at]->size * bits_of(values[at]->type);
            given[k] = values[at], used[at] = 1;
        }
        Array *y = apply(kind, get(node, "attributes"), given, inputs->n, work);
        y->name = named(string(get(node, "name")));
        values[n++] = all[i] = y;
    }
    Array *output = NULL;
    for (int i = 0; i < n; i++) {
        int is_output = !strcmp(values[i]->name, p->output) && (i < 1 || i > p->count);
        if (is_output) output = values[i];
        require(used[i] || is_output, "[5.1.4] never used");
        for (int k = 0; k < i; k++) require(strcmp(values[k]->name, values[i]->name), "[5.1.2] twice");
    }
    require(output != NULL, "[5.1.1] output");
    return output;
}

/* [5.2.1] */
static Array *checked_input(const Program *p, Array *x) {
    Array *copy = array(p->input, p->x->type, x->rank, x->shape);
    require(!x->r && x->rank == p->x->rank, "[5.2.1] shape");
    for (int i = 1; i < x->rank; i++) require(x->shape[i] == p->x->shape[i], "[5.2.1] shape");
    for (I i = 0; i < x->size; i++) {
        require(x->v[i] >= copy->type.lo && x->v[i] <= copy->type.hi, "[5.2.1] leaves the type");
        copy->v[i] = x->v[i];
    }
    return copy;
}

static void sha256(const unsigned char *data, size_t n, unsigned char out[32]) {
    uint32_t h[8], k[64], w[64];
    for (int i = 0, prime = 2; i < 64; prime++) { /* fractions of roots of the first primes */
        int divisor = 2;
        while (prime % divisor) divisor++;
        if (divisor < prime) continue;
        if (i < 8) h[i] = (uint32_t)(uint64_t)(sqrtl(prime) * 4294967296.0L);
        k[i++] = (uint32_t)(uint64_t)(cbrtl(prime) * 4294967296.0L);
    }
    size_t blocks = (n + 8) / 64 + 1;
    for (size_t block = 0; block < blocks; block++) {
        for (size_t i = 0; i < 64; i++) {
            size_t at = block * 64 + i;
            uint32_t byte = at < n ? data[at] : at == n ? 0x80 : 0;
            if (at >= blocks * 64 - 8) byte = (uint32_t)((uint64_t)n * 8 >> 8 * (blocks * 64 - 1 - at)) & 255;
            w[i / 4] = w[i / 4] << 8 | byte;
        }
#define TURN(x, r) ((x) >> (r) | (x) << (32 - (r)))
        uint32_t v[8];
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 64; i++) {
            if (i >= 16) {
                uint32_t a = w[i - 15], b = w[i - 2];
                w[i] = w[i - 16] + (TURN(a, 7) ^ TURN(a, 18) ^ a >> 3) + w[i - 7]
                       + (TURN(b, 17) ^ TURN(b, 19) ^ b >> 10);
            }
            uint32_t one = v[7] + (TURN(v[4], 6) ^ TURN(v[4], 11) ^ TURN(v[4], 25))
                           + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
            uint32_t two = (TURN(v[0], 2) ^ TURN(v[0], 13) ^ TURN(v[0], 22))
                           + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            memmove(v + 1, v, 7 * sizeof *v);
            v[0] = one + two, v[4] += one;
        }
        for (int i = 0; i < 8; i++) h[i] += v[i];
    }
    for (int i = 0; i < 32; i++) out[i] = (unsigned char)(h[i / 4] >> (24 - i % 4 * 8));
}

static void print_shape(Text *text, const Array *a, int from) {
    char name[64];
    print(text, "\"shape\":[");
    for (int i = from; i < a->rank; i++) { if (i > from) print(text, ","); print_integer(text, a->shape[i]); }
    type_name(a->type, name);
    print(text, "],\"type\":\""), print(text, name), print(text, "\"");
}

/* [5.3.2]: keys sorted, no white space; types by the names of [1.1.2]. */
static void canonical(Text *text, const Json *v, const char *key) {
    char name[64];
    if (v->kind == 'i') print_integer(text, v->i);
    else if (v->kind == 's') {
        if (!strcmp(key, "type")) type_name(parse_type(v->s), name);
        print(text, "\""), print(text, strcmp(key, "type") ? v->s : name), print(text, "\"");
    } else {
        print(text, v->kind == 'a' ? "[" : "{");
        const char *last = "";
        for (int i = 0; i < v->n; i++) {
            int next = i;
            if (v->kind == 'o') {
                next = -1;
                for (int k = 0; k < v->n; k++)
                    if (strcmp(v->keys[k], last) > 0 && (next < 0 || strcmp(v->keys[k], v->keys[next]) < 0)) next = k;
                require(next >= 0, "a field twice");
                last = v->keys[next];
            }
            if (i) print(text, ",");
            if (v->kind == 'o') print(text, "\""), print(text, last), print(text, "\":");
            canonical(text, v->items[next], v->kind == 'o' ? last : key);
        }
        print(text, v->kind == 'a' ? "]" : "}");
    }
}

static void align(Text *text) { while (text->n % 64) append(text, "", 1); }

/* [5.3.1] to [5.3.3] */
static Text file_of(const Program *p) {
    Text header = {0}, data = {0}, file = {0};
    unsigned char digest[32];
    print(&header, "{\"constants\":[");
    for (int i = 0; i < p->count; i++) {
        const Array *c = p->constants[i];
        int is_signed, width = storage_of(c->type, &is_signed) / 8;
        I offset = (I)data.n, bytes = c->size * width;
        for (I k = 0; k < c->size; k++)
            for (int b = 0; b < width; b++) {
                char byte = (char)((uint64_t)c->v[k] >> 8 * b);
                append(&data, &byte, 1);
            }
        sha256((unsigned char *)data.s + offset, (size_t)bytes, digest);
        print(&header, i ? ",{\"bytes\":" : "{\"bytes\":"), print_integer(&header, bytes);
        print(&header, ",\"name\":\""), print(&header, c->name);
        print(&header, "\",\"offset\":"), print_integer(&header, offset);
        print(&header, ",\"sha256\":\"");
        for (int k = 0; k < 32; k++) { char hex[4]; sprintf(hex, "%02x", digest[k]); print(&header, hex); }
        print(&header, "\","), print_shape(&header, c, 0), print(&header, "}");
        align(&data);
    }
    print(&header, "],\"format\":1,\"input\":{\"name\":\""), print(&header, p->input);
    print(&header, "\","), print_shape(&header, p->x, 1), print(&header, "},\"name\":\"");
    print(&header, p->name), print(&header, "\",\"nodes\":"), canonical(&header, p->nodes, "");
    print(&header, ",\"output\":\""), print(&header, p->output), print(&header, "\"}");
    append(&file, "RNPROG\r\n", 8);
    for (int b = 0; b < 8; b++) { char byte = (char)(header.n >> 8 * b); append(&file, &byte, 1); }
    sha256((unsigned char *)header.s, header.n, digest);
    append(&file, digest, 32), append(&file, header.s, header.n), align(&file);
    append(&file, data.s, data.n);
    return file;
}

/* [5.3.4]: what these bytes say, written again, must be these bytes. */
static Program loaded(const Array *bytes) {
    char *file = take((size_t)bytes->size, 1);
    for (I i = 0; i < bytes->size; i++) file[i] = (char)bytes->v[i];
    I size = 0, room = bytes->size - 48;
    require(room >= 0 && !memcmp(file, "RNPROG\r\n", 8), "[5.3.1] magic");
    for (int b = 7; b >= 0; b--) { require(size <= room, "[5.3.1] length"); size = size * 256 + bytes->v[8 + b]; }
    require(size <= room, "[5.3.1] length");
    Json *header = parse(file + 48, (size_t)size), *listed = get(header, "constants");
    fields(header, "constants format input name nodes output");
    integer(get(header, "format"), 1, 1);
    require(listed->kind == 'a', "constants");
    Array **constants = take((size_t)listed->n, sizeof *constants);
    for (int i = 0; i < listed->n; i++) {
        const Json *c = listed->items[i], *shape = get(c, "shape");
        I sizes[4] = {0}, elements = 1;
        int is_signed;
        Type t = parse_type(string(get(c, "type")));
        int width = storage_of(t, &is_signed) / 8;
        fields(c, "name type shape offset bytes sha256");
        require(shape->kind == 'a' && shape->n >= 1 && shape->n <= 4, "[5.1.3]");
        for (int k = 0; k < shape->n; k++) {
            elements *= sizes[k] = integer(shape->items[k], 1, INT32_MAX);
            require(elements <= bytes->size, "[5.3.1] length");
        }
        I from = (48 + size + 63) / 64 * 64 + integer(get(c, "offset"), 0, bytes->size);
        require(from + elements * width <= bytes->size, "[5.3.1] length");
        constants[i] = array(string(get(c, "name")), t, shape->n, sizes);
        for (I k = 0; k < elements; k++) {
            uint64_t v = 0;
            for (int b = width - 1; b >= 0; b--) v = v << 8 | (uint64_t)bytes->v[from + k * width + b];
            I number = (I)v;
            if (is_signed && v >> (8 * width - 1)) number -= power(8 * width);
            require(number >= t.lo && number <= t.hi, "[5.1.3] leaves the type");
            constants[i]->v[k] = number;
        }
    }
    Program p = program_of(header, constants, listed->n);
    Text again = file_of(&p);
    require(again.n == (size_t)bytes->size && !memcmp(again.s, file, again.n), "[5.3.4] other bytes");
    return p;
}

void programs(const char *op, const Json *attributes) {
    I bits = 0;
    if (!strcmp(op, "classify")) { /* [5.2.2] */
        Array *scores = operand("scores"), *class = vector("class", scores->shape[0]);
        I n = scores->shape[1];
        require(scores->rank == 2 && n > 0, "scores (N, K)");
        for (I i = 0; i < scores->size; i++)
            if (scores->v[i] > scores->v[i / n * n + class->v[i / n]]) class->v[i / n] = i % n;
        return;
    }
    int loads = !strcmp(op, "load"), whole = !strcmp(op, "Program"), saves = !strcmp(op, "save");
    if (!loads && !whole && !saves && strcmp(op, "weight_bits")) return;
    if (!loads) fields(attributes, "name input nodes output"), require(operand_count >= whole, "[5.2.1] no input");
    Program p = loads ? loaded(operand("file")) : program_of(attributes, operands + whole, operand_count - whole);
    Array *x = array(p.input, p.x->type, p.x->rank, p.x->shape), **all;
    if (loads) x = checked_input(&p, operand("x"));
    if (whole) x = checked_input(&p, operands[0]);
    all = take((size_t)p.nodes->n, sizeof *all);
    Array *y = run(&p, x, all, &bits);
    if (whole) {
        for (int i = 0; i < p.nodes->n; i++) give(all[i]);
        if (y == x) give(y);
    } else if (loads) {
        Array *copy = array("y", y->type, y->rank, y->shape);
        memcpy(copy->v, y->v, (size_t)y->size * sizeof(I));
        give(copy);
    } else if (saves) {
        Text file = file_of(&p);
        Array *bytes = vector("file", (I)file.n);
        for (size_t i = 0; i < file.n; i++) bytes->v[i] = (unsigned char)file.s[i];
    } else vector("bits", 1)->v[0] = bits;
}
