/* The protocol of `refnet vectors check --sut`: a question a line in, an answer a line out. */
#include <ctype.h>
#include <setjmp.h>
#include "consumer.h"

typedef union Block { union Block *next; max_align_t align; } Block;
static Block *blocks;
static jmp_buf start;
static const char *reason;
static char line[1 << 26], *at;
static Array *outputs[4096];
static int output_count;

void require(int holds, const char *rule) {
    if (holds) return;
    reason = rule;
    output_count = 0;
    longjmp(start, 1);
}

/* Zeros, until the answer is sent. */
void *take(I count, size_t size) {
    int fits = count >= 0 && count <= (1 << 30) / (I)size;
    Block *block = fits ? calloc(1, sizeof *block + (size_t)count * size) : NULL;
    require(block != NULL, "too large");
    block->next = blocks;
    blocks = block;
    return block + 1;
}

static char next(void) {
    at += strspn(at, " \t\r\n");
    return *at;
}

static void expect(char c) {
    require(next() == c, "no JSON");
    at++;
}

/* A string as it is written, in its place: no valid name, type or rule needs an escape. */
static const char *string(void) {
    expect('"');
    const char *from = at;
    for (; *at != '"'; at++) {
        require((unsigned char)*at >= ' ', "no JSON");
        if (*at == '\\' && at[1]) at++;
    }
    *at++ = 0;
    return from;
}

static Json *value(int depth) {
    Json *made = take(1, sizeof *made), **place = &made->items;
    require(depth < 64, "nested too deeply");
    made->kind = next();
    if (made->kind == '"') {
        made->s = string();
    } else if (made->kind == '{' || made->kind == '[') {
        for (at++; next() != made->kind + 2; made->n++) { /* } and ] in ASCII */
            if (made->n) expect(',');
            const char *key = made->kind == '{' ? string() : NULL;
            if (key) expect(':');
            *place = value(depth + 1);
            (*place)->key = key;
            place = &(*place)->next;
        }
        at++;
    } else if (islower((unsigned char)made->kind)) {
        at += strspn(at, "aeflnrstu"); /* true, false, null */
    } else {
        size_t digits = strspn(at + (*at == '-'), "0123456789");
        require(digits >= 1 && digits <= 18, "no JSON");
        made->kind = 'i';
        made->i = strtoll(at, &at, 10);
    }
    return made;
}

Json *get(const Json *object, const char *key) {
    Json *item = object->kind == '{' ? object->items : NULL;
    while (item && strcmp(item->key, key)) item = item->next;
    require(item != NULL, "a field is missing");
    item->is_read = 1;
    return item;
}

/* A field that nothing has read is refused: one that is unknown, or comes a second time. */
static void all_read(const Json *v) {
    for (const Json *item = v->items; item; item = item->next) {
        require(!item->key || item->is_read, "an unknown field");
        all_read(item);
    }
}

const char *word(const Json *object, const char *key) {
    const Json *v = get(object, key);
    require(v->kind == '"', "a string");
    return v->s;
}

I integer(const Json *v, I lo, I hi) {
    require(v->kind == 'i' && v->i >= lo && v->i <= hi, "an integer outside its rule");
    return v->i;
}

I *integers(const Json *list, int fewest, int most, I least) {
    require(list->kind == '[' && list->n >= fewest && list->n <= most, "a list of integers");
    I *made = take(list->n, sizeof *made), n = 0;
    for (const Json *v = list->items; v; v = v->next) made[n++] = integer(v, least, INT32_MAX);
    return made;
}

Array *array(Type type, int rank, const I *shape) {
    Array *a = take(1, sizeof *a);
    *a = (Array){.type = type, .rank = rank, .size = 1};
    for (int i = 0; i < rank; i++) {
        a->shape[i] = shape[i];
        require(!shape[i] || a->size <= INT32_MAX / shape[i], "too large");
        a->size *= shape[i];
    }
    a->v = take(a->size, sizeof *a->v);
    return a;
}

static Array *array_of(const Json *given) {
    const Json *data = get(given, "data"), *shape = get(given, "shape");
    int is_wide = !strcmp(word(given, "type"), "int64");
    Type t = is_wide ? (Type){INT64_MIN, INT64_MAX} : parse_type(word(given, "type"));
    Array *a = array(t, shape->n, integers(shape, 0, 5, 0));
    a->name = word(given, "name");
    require(data->kind == '[' && data->n == a->size, "data of another size");
    I *v = a->v;
    for (const Json *item = data->items; item; item = item->next) *v++ = integer(item, t.lo, t.hi);
    return a;
}

void give(const char *name, Array *a) {
    require(output_count < 4096, "too many outputs");
    a->name = name;
    outputs[output_count++] = a;
}

void list(const char *name, I n, const I *values) {
    Array *a = array((Type){0, 0}, 1, &n);
    if (n) memcpy(a->v, values, (size_t)n * sizeof *values);
    give(name, a);
}

/* Operands: a word each, a letter an axis, equal letters for equal sizes; capitals but N are at
   least 1; + is more such axes, to four in all; ? may be missing; NULL is not checked. */
static const struct { const char *op, *shapes; Answer *answer; } TABLE[] = {
    {"Conv", "NCHW FDRS ?F", window},       {"MaxPool", "NCHW", window},
    {"SumPool", "NCHW", window},            {"Threshold", "NC+ CL C", by_channel},
    {"Requantize", "NC+ C C", by_channel},  {"Add", "NC+ NC+", add},
    {"Reshape", "NC+", reshape},            {"result_type", NULL, operator_facts},
    {"work", NULL, operator_facts},         {"Program", NULL, program},
    {"weight_bits", NULL, program},         {"classify", "NK", classify},
    {"saturate", "n", elementwise},         {"rounding_shift", "n n", elementwise},
    {"requantize", "n n n", elementwise},   {NULL, NULL, NULL},
};

static int place_in_table(const char *op) {
    int i = 0;
    while (TABLE[i].op && strcmp(TABLE[i].op, op)) i++;
    return i;
}

static void bind(Question *ask, const char *shapes) {
    int n = 0;
    memset(ask->size, -1, sizeof ask->size);
    for (; *shapes; shapes += *shapes == ' ') {
        int axis = 0;
        if (*shapes == '?' && n == ask->count) break;
        shapes += *shapes == '?';
        require(n < ask->count, "an operand is missing");
        const Array *a = ask->x[n++];
        int is_wide = a->type.lo < INT32_MIN || a->type.hi > INT32_MAX;
        require(!isupper(*shapes) || !is_wide, "[1.1.1]");
        for (; *shapes > ' ' && *shapes != '+'; shapes++) {
            I *size = &ask->size[(int)*shapes];
            require(axis < a->rank && (*size < 0 || *size == a->shape[axis]), "shapes");
            *size = a->shape[axis++];
            require(*size >= 1 || !isupper(*shapes) || *shapes == 'N', "an axis of no element");
        }
        for (; *shapes == '+' && axis < a->rank && axis < 4; axis++)
            require(a->shape[axis] >= 1, "[1.2.1]");
        shapes += *shapes == '+';
        require(axis == a->rank, "axes");
    }
    require(n == ask->count, "more operands");
}

void perform(Question *ask, int as_operator) {
    int i = place_in_table(ask->op);
    require(!as_operator || i < 7, "no operator");
    require(ask->attributes->kind == '{', "attributes");
    if (TABLE[i].shapes) bind(ask, TABLE[i].shapes);
    TABLE[i].answer(ask);
    all_read(ask->attributes);
}

static void answer(const char *end, const char *volatile *id) {
    const Json *question = value(0), *given = get(question, "operands");
    require(!next() && at == end, "no JSON");
    *id = word(question, "id");
    Question ask = {.op = word(question, "op"), .attributes = get(question, "attributes")};
    if (!TABLE[place_in_table(ask.op)].op) return;
    ask.x = take(given->n, sizeof *ask.x);
    for (const Json *a = given->items; a; a = a->next) ask.x[ask.count++] = array_of(a);
    perform(&ask, 0);
    if (ask.y) give("y", ask.y);
}

static void print(char mark, const Array *a) {
    printf("%c\"%s\":{\"shape\":[", mark, a->name);
    for (int i = 0; i < a->rank; i++) printf("%s%lld", i ? "," : "", a->shape[i]);
    printf("],\"data\":[");
    for (I i = 0; i < a->size; i++) printf("%s%lld", i ? "," : "", a->v[i]);
    printf("]}");
}

int main(void) {
    while (fgets(line, sizeof line, stdin)) {
        const char *volatile id = "";
        size_t n = strcspn(line, "\n");
        reason = line[n] || feof(stdin) ? NULL : "a zero in the line";
        line[n] = 0;
        at = line;
        output_count = 0;
        if (!reason && !setjmp(start)) answer(line + n, &id);
        const char *kind = reason ? "error" : output_count ? "outputs" : "unsupported";
        printf("{\"id\":\"%s\",\"%s\":", id, kind);
        if (!output_count) printf("\"%s\"", reason ? reason : "op");
        for (int i = 0; i < output_count; i++) print(i ? ',' : '{', outputs[i]);
        puts(output_count ? "}}" : "}");
        fflush(stdout);
        while (blocks) {
            Block *block = blocks;
            blocks = block->next;
            free(block);
        }
    }
    return 0;
}
