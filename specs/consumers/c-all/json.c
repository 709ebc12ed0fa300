/* JSON of integers and strings, and memory that is given back after every answer. */
#include "consumer.h"

typedef union Block { union Block *next; max_align_t align; } Block;
static Block *blocks;
static const char *at, *end;

void require(int holds, const char *rule) { if (!holds) refuse(rule); }

void *take(size_t count, size_t size) {
    Block *block = count < SIZE_MAX / 2 / size ? calloc(1, sizeof(Block) + count * size) : NULL;
    require(block != NULL, "too large");
    block->next = blocks, blocks = block;
    return block + 1;
}

void release(void) {
    while (blocks) { Block *block = blocks; blocks = block->next; free(block); }
}

char *copied(const char *s, size_t n) {
    char *copy = take(n + 1, 1);
    memcpy(copy, s, n);
    return copy;
}

void append(Text *text, const void *bytes, size_t n) {
    if (text->n + n + 1 > text->room) {
        char *larger = take(text->room = 2 * (text->n + n + 1), 1);
        if (text->n) memcpy(larger, text->s, text->n);
        text->s = larger;
    }
    if (n) memcpy(text->s + text->n, bytes, n);
    text->n += n;
}

void print(Text *text, const char *s) { append(text, s, strlen(s)); }

void print_integer(Text *text, I value) {
    char digits[24];
    print(text, (sprintf(digits, "%lld", (long long)value), digits));
}

static char next(void) {
    while (at < end && strchr(" \t\r\n", *at)) at++;
    return at < end ? *at : 0;
}

static void expect(char c) { require(next() == c, "no JSON"); at++; }

static char *text(void) {
    expect('"');
    size_t n = 0;
    const char *from = at;
    while (at < end && *at != '"') at += 1 + (*at == '\\');
    require(at < end, "no JSON");
    char *made = take((size_t)(at - from) + 1, 1);
    for (const char *c = from; c < at; c++) {
        const char *plain = "\"\\/\b\f\n\r\t", *letters = "\"\\/bfnrt", *found;
        require((unsigned char)*c >= ' ', "a control character");
        if (*c != '\\') made[n++] = *c;
        else if (*++c == 'u') { /* as UTF-8; zero in two bytes, so that it does not end the string */
            unsigned code = 0;
            for (int i = 0; i < 4; i++) {
                const char *digits = "0123456789abcdef", *digit = strchr(digits, *++c | 32);
                require(c < at && digit && *digit, "an escape");
                code = code * 16 + (unsigned)(digit - digits);
            }
            if (code && code < 128) made[n++] = (char)code;
            else if (code < 2048) made[n++] = (char)(192 | code >> 6);
            else made[n++] = (char)(224 | code >> 12), made[n++] = (char)(128 | (code >> 6 & 63));
            if (!code || code >= 128) made[n++] = (char)(128 | (code & 63));
        } else {
            require((found = strchr(letters, *c)) && *found, "an escape");
            made[n++] = plain[found - letters];
        }
    }
    at++;
    return made;
}

static Json *value(int depth) {
    Json *made = take(1, sizeof *made);
    char c = next(), close = c == '{' ? '}' : ']';
    require(depth < 64, "nested too deeply");
    if (c == '"') { made->kind = 's', made->s = text(); return made; }
    if (c == '{' || c == '[') {
        int room = 0;
        made->kind = c == '{' ? 'o' : 'a';
        for (at++; next() != close; made->n++) {
            if (made->n) expect(',');
            if (made->n == room) {
                Json **items = take((size_t)(room = 2 * room + 8), sizeof *items);
                char **keys = take((size_t)room, sizeof *keys);
                if (made->n) {
                    memcpy(items, made->items, (size_t)made->n * sizeof *items);
                    memcpy(keys, made->keys, (size_t)made->n * sizeof *keys);
                }
                made->items = items, made->keys = keys;
            }
            if (c == '{') { made->keys[made->n] = text(); expect(':'); }
            made->items[made->n] = value(depth + 1);
        }
        at++;
        return made;
    }
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(end - at) < n || memcmp(at, words[i], n)) continue;
        made->kind = i < 2 ? 'b' : 'n', made->i = !i, at += n;
        return made;
    }
    int negative = c == '-', digits = 0;
    made->kind = 'i';
    for (at += negative; at < end && *at >= '0' && *at <= '9'; at++, digits++)
        require(digits < 18, "a number"), made->i = made->i * 10 + *at - '0';
    require(digits && (at == end || !strchr(".eE", *at)), "no JSON");
    if (negative) made->i = -made->i;
    return made;
}

Json *parse(const char *source, size_t n) {
    at = source, end = source + n;
    Json *made = value(0);
    require(!next(), "no JSON");
    return made;
}

Json *get(const Json *object, const char *key) {
    for (int i = 0; object->kind == 'o' && i < object->n; i++)
        if (!strcmp(object->keys[i], key)) return object->items[i];
    refuse("a field is missing");
}

/* Exactly these fields, each once. */
void fields(const Json *object, const char *names) {
    char copy[128], *name;
    int count = 0;
    for (name = strtok(strcpy(copy, names), " "); name; name = strtok(NULL, " "), count++)
        get(object, name);
    require(object->kind == 'o' && count == object->n, "other fields");
}

const char *string(const Json *v) { require(v->kind == 's', "a string"); return v->s; }

I integer(const Json *v, I lo, I hi) {
    require(v->kind == 'i' && v->i >= lo && v->i <= hi, "an integer outside its rule");
    return v->i;
}

Array *array(const char *name, Type type, int rank, const I *shape) {
    Array *a = take(1, sizeof *a);
    a->name = name, a->type = type, a->rank = rank, a->size = 1;
    for (int i = 0; i < rank; i++) {
        a->shape[i] = shape[i];
        require(!shape[i] || a->size <= INT64_MAX / 16 / shape[i], "too large");
        a->size *= shape[i];
    }
    a->v = take((size_t)a->size, sizeof(I));
    return a;
}

Array *vector(const char *name, I n) {
    Array *a = array(name, (Type){0, 0}, 1, &n);
    give(a);
    return a;
}

Array *array_of(const Json *given) {
    const Json *data = get(given, "data"), *shape = get(given, "shape");
    const char *type = string(get(given, "type"));
    I sizes[6] = {0};
    int real = !strcmp(type, "binary64"), wide = real || !strcmp(type, "int64");
    require(shape->n <= 5, "too many axes");
    for (int i = 0; i < shape->n; i++) sizes[i] = integer(shape->items[i], 0, INT32_MAX);
    Type range = wide ? (Type){INT64_MIN, INT64_MAX} : parse_type(type);
    Array *a = array(string(get(given, "name")), range, shape->n, sizes);
    require(data->n == a->size, "data of another size");
    if (real) a->r = take((size_t)a->size, sizeof(double));
    for (I i = 0; i < a->size; i++) {
        if (real) {
            uint64_t pattern = strtoull(string(data->items[i]), NULL, 16);
            memcpy(&a->r[i], &pattern, 8);
        } else a->v[i] = integer(data->items[i], range.lo, range.hi);
    }
    return a;
}
