/* A second implementation of the specification, in C11: integers in, integers out.
   Letters and clause numbers are those of specs/. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long I;
__extension__ typedef __int128 W; /* wide enough for every product */
typedef struct { I lo, hi; } Type;

/* Kinds: { [ " i, or the first letter of true, false, null. */
typedef struct Json {
    char kind;
    int n, is_read;
    I i;
    const char *s, *key;
    struct Json *items, *next;
} Json;

/* Activations have the batch axis first. */
typedef struct {
    const char *name;
    Type type;
    int rank, is_constant, is_weight, is_used;
    I shape[6], size, *v;
} Array;

typedef struct {
    const char *op;
    Json *attributes;
    int count;
    Array **x, *y; /* operands in order; the result, if there is one */
    I work[4];     /* MACs, additions, multiplications, comparisons */
    I size[128];   /* by the letters of the table */
} Question;

typedef void Answer(Question *ask);

void require(int holds, const char *rule);
void *take(I count, size_t size);
Json *get(const Json *object, const char *key);
const char *word(const Json *object, const char *key);
I integer(const Json *v, I lo, I hi);
I *integers(const Json *list, int fewest, int most, I least);
Array *array(Type type, int rank, const I *shape);
void give(const char *name, Array *a);
void list(const char *name, I n, const I *values);
void perform(Question *ask, int as_operator);
Type parse_type(const char *name);
int bits_of(Type t);
Type bounded(W lo, W hi);
I saturate(W x, I lo, I hi);
int rounding_of(const Json *attributes);
W divide(W n, W d, int rule);
I requantized(I acc, I mult, I shift, Type t, int rule);
Answer elementwise, window, by_channel, add, reshape, operator_facts, program, classify;
